"""What ``serve`` shows and takes over HTTP: webhooks in, health, readiness, metrics and a page out."""

from bidisync_espo_advo.web.listening import listening
from bidisync_espo_advo.web.site import Site, application

__all__ = ["Site", "application", "listening"]
