"""The saved audiences that a payload's conditions name: only those, as everyone can read it."""

from collections.abc import Iterator, Mapping

from experiments.targeting import SavedGroups


def groups_named(conditions: object, groups: SavedGroups) -> dict[str, object]:
    """The groups that are named, and those that these name in turn.

    A list that is only asked with `$inGroup` is given bare, as SDKs older than `$savedGroup` know no other.
    """
    bare: dict[str, object] = {}
    whole: dict[str, object] = {}
    waiting = list(_names(conditions))
    while waiting:
        name, is_whole = waiting.pop()
        kept, group = (whole if is_whole else bare), groups.get(name)
        if name in kept or not isinstance(group, Mapping):
            continue
        kept[name] = group if is_whole else group.get("values", [])
        waiting += _names(group.get("condition"))
    return bare | whole


def _names(value: object) -> Iterator[tuple[str, bool]]:
    """Each name, and whether all of the group is needed."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in {"$inGroup", "$notInGroup"} and isinstance(inner, str):
                yield inner, False
            elif key == "$savedGroup" and isinstance(inner, Mapping) and isinstance(inner.get("id"), str):
                yield inner["id"], True
            else:
                yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)
