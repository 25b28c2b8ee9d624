"""How thoroughly properties are tested: a little here, the same every time in CI, long at night."""

import os

from hypothesis import HealthCheck, Phase, Verbosity, settings

settings.register_profile("dev", max_examples=100, deadline=None)
settings.register_profile(
    "ci",
    max_examples=150,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "night",
    max_examples=int(os.environ.get("BIDISYNC_NIGHT_EXAMPLES", "8000")),
    deadline=None,
    verbosity=Verbosity.normal,
)
settings.register_profile(
    "mutants",
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # a mutant has only to be noticed
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
