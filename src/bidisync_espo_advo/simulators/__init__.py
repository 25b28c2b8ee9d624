"""EspoCRM and Advoware as local servers, to try a sync against."""

from bidisync_espo_advo.simulators.advoware import AdvowareServer, advoware_simulator
from bidisync_espo_advo.simulators.espocrm import EspoServer, espocrm_simulator

__all__ = ["AdvowareServer", "EspoServer", "advoware_simulator", "espocrm_simulator"]
