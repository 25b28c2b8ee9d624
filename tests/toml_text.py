"""Tables of settings as the text of a file."""

from __future__ import annotations

from collections.abc import Mapping


def render_toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    """These tables as TOML text."""
    lines = []
    for section, table in tables.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {_toml(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
        for key, inner in table.items():
            if isinstance(inner, Mapping) and inner:
                lines += [
                    "",
                    f"[{section}.{key}]",
                    *(f"{_toml(name)} = {_toml(value)}" for name, value in inner.items()),
                ]
        lines.append("")
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value)
