"""How the two systems are reached: the tables ``[espocrm]`` and ``[advoware]`` as values."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class EspoConfig:
    """The table ``[espocrm]``. Times in seconds; ``requests_per_second`` 0 means unlimited."""

    url: str = ""
    api_key: str = attrs.field(default="", repr=False)
    secret_key: str = attrs.field(default="", repr=False)  # set: HMAC authentication
    entity_type: str = "CBeteiligte"
    timeout_s: float = 30.0
    max_concurrency: int = 10
    requests_per_second: float = 0.0
    profile: str = ""
    webhooks: Mapping[str, str] = attrs.field(factory=dict, repr=False)


@attrs.frozen(kw_only=True)
class AdvowareConfig:
    """The table ``[advoware]``. Asks ``discovery_url`` unless both other addresses are set."""

    discovery_url: str = "https://www2.advo-net.net/"
    api_url: str = ""
    security_url: str = ""
    path: str = "api/v1/advonet/"
    kanzlei: str = ""
    database: str = ""
    user: str = ""
    password: str = attrs.field(default="", repr=False)
    role: int = 2
    product: int = 64
    app_id: str = ""
    api_key: str = attrs.field(default="", repr=False)  # base64, as handed out
    timezone: str = "Europe/Berlin"
    timeout_s: float = 30.0
    max_concurrency: int = 10
    requests_per_second: float = 0.0
    profile: str = ""
