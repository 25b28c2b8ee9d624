"""``python -m bidisync_espo_advo`` is the command ``espo-advo``."""

from bidisync_espo_advo.cli import main

main()
