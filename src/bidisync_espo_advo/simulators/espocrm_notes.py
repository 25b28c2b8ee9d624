"""Posts in EspoCRM's stream, and whom EspoCRM notifies of them.

From the official source (``Classes/RecordHooks/Note``, ``Hooks/Note``) and from the recorded
rights of an API user: ``Note`` may be created, ``Notification`` may not, and the message
permission is ``no``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from bidisync_espo_advo.simulators.espocrm_refusals import Refusal
from bidisync_espo_advo.simulators.espocrm_users import User


@attrs.define
class Notes:
    """Every post, and by user the ids of those that they were notified of."""

    posts: list[dict[str, Any]] = attrs.Factory(list)
    notified: dict[str, list[str]] = attrs.Factory(dict)

    def post(
        self,
        body: Mapping[str, Any],
        user: User,
        at: str,
        *,
        reads_parent: Callable[[str, str], bool],
        may_message: bool,
    ) -> dict[str, Any]:
        """A new post as EspoCRM answers it; ``Refusal`` where it refuses."""
        parent = body.get("parentType"), body.get("parentId")
        if all(parent) and not reads_parent(str(parent[0]), str(parent[1])):
            raise Refusal(403, "No access to parent.")
        if body.get("type") != "Post" and not user.is_admin:
            raise Refusal(403, "Only 'Post' type allowed.")
        users = [str(id) for id in body.get("usersIds") or ()]
        if body.get("targetType") == "users":
            if not may_message and users != [user.id] and not user.is_admin:
                raise Refusal(403, "Not permitted to post to anybody except self.")
            if not users:
                raise Refusal(400, "No user IDs.")
        kept = ("type", "post", "targetType", "parentType", "parentId", "usersIds")
        number = len(self.posts) + 1
        made = {
            "id": f"{number:017x}",
            "deleted": False,
            **{name: body[name] for name in kept if name in body},
            "number": number,
            "isGlobal": False,
            "isInternal": False,
            "createdAt": at,
            "modifiedAt": at,
            "createdById": user.id,
            "createdByName": user.full_name,
        }
        self.posts.append(made)
        if not all(parent):  # nobody follows a record here: the recorded entity type has no stream
            for id in users:
                if id != user.id:
                    self.notified.setdefault(id, []).append(made["id"])
        return made

    def shown_to(self, user: User) -> dict[str, Any]:
        """What a user was notified of."""
        mine = set(self.notified.get(user.id, ()))
        rows = [post for post in self.posts if post["id"] in mine]
        return {"total": len(rows), "list": [{"id": row["id"], "type": "Note", "noteData": row} for row in rows]}
