"""WebDataset tars of captions and chats."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from tests.hunt import damage
from tests.hunt.generators.chats import as_conversations, as_messages, turns
from tests.hunt.made import IN, Damaged, Made
from tests.hunt.seen import Seen, caption
from tests.hunt.words import Photo, phrase, some_photos

NAME = "a.tar"


class Member(NamedTuple):
    """A member of a tar: its name, its data, and its type."""

    name: str
    data: bytes = b""
    type: bytes = tarfile.REGTYPE


class Sample(NamedTuple):
    members: list[Member]
    records: list[Seen]


def _encode(members: list[Member], format: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.size = member.type, len(member.data)
            info.linkname = "nowhere" if member.type in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(info, io.BytesIO(member.data))
    return out.getvalue()


def _count(data: bytes) -> int | None:
    """The number of members, by the standard library; None for a tar with a fault."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            found = archive.getmembers()
            end = archive.offset
    except (tarfile.TarError, OSError, ValueError, EOFError):
        return None
    is_end = data[end : end + 512] == bytes(512) or data[end - 512 : end] == bytes(512)
    return len(found) if is_end else None


def webdataset(draw: Random) -> Made:
    samples = [_sample(draw, photo) for photo in some_photos(draw)]
    format = draw.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    members = _with_strays([m for one in samples for m in one.members], draw)
    data = _encode(members, format)
    units = _count(data)
    assert units == len(members)
    files = {NAME: data}

    def damaged(d: Random) -> Damaged:
        kind: Callable[..., Damaged] = d.choice((_bytes, _bytes, _member, _member, _member))
        return kind(samples, members, data, format, d)

    records = [one for sample in samples for one in sample.records]
    return Made({"path": f"{IN}/{NAME}"}, files, records, units, damaged)


def _sample(draw: Random, photo: Photo) -> Sample:
    folder = draw.choice(("", "", "b/", "deep/" * 20, "ü/"))
    key, ending = f"{folder}{photo.token}", photo.name.rpartition(".")[2]
    image = Member(f"{key}.{ending}", photo.data)
    if draw.random() < 0.3:
        return _chat(draw, photo, key, image)
    text = phrase(draw, photo.token, breaks=True)
    members = [image]
    fields: dict[str, Any] = {"n": 1, "url": f"http://x/{photo.token}"}
    where = draw.choice(("txt", "json", "both", "none"))
    if where in ("txt", "both"):
        members.append(Member(f"{key}.txt", text.encode()))
    if where in ("json", "both"):
        fields["caption"] = text
    if where != "txt" or draw.random() < 0.5:
        members.append(Member(f"{key}.json", json.dumps(fields).encode()))
    if draw.random() < 0.2:
        members.append(Member(f"{key}.cls", b"3"))
    draw.shuffle(members)
    return Sample(members, [caption(photo.name, None if where == "none" else text)])


def _chat(draw: Random, photo: Photo, key: str, image: Member) -> Sample:
    segments = turns(draw, photo, 1)
    messages = as_messages(segments)
    fields: dict[str, Any] = {"n": 1}
    if draw.random() < 0.5:
        fields["messages"] = messages
    else:
        fields["conversations"] = as_conversations(messages)
    members = [image, Member(f"{key}.json", json.dumps(fields).encode())]
    return Sample(members, [Seen(tuple(segments))])


def _with_strays(members: list[Member], draw: Random) -> list[Member]:
    """The members with some before or after them that belong to no sample."""
    strays = [
        Member("folder", b"", tarfile.DIRTYPE), Member(".hidden", b"x"), Member("README", b"x"),
        Member("pipe", b"", tarfile.FIFOTYPE),
    ]  # fmt: skip
    some = draw.sample(strays, draw.choice((0, 0, 1, 2)))
    return [*some, *members] if draw.random() < 0.5 else [*members, *some]


def _member(
    samples: list[Sample], members: list[Member], data: bytes, format: int, draw: Random
) -> Damaged:
    """A member removed, repeated, moved, renamed, replaced, or made a link."""
    changed = list(members)
    at = draw.randrange(len(changed))
    member = changed.pop(at)
    kind = draw.choice(("removed", "twice", "moved", "link", "odd", "empty", "renamed", "json"))
    if kind == "twice":
        changed.insert(at, member)
        changed.insert(draw.randrange(len(changed) + 1), member)
    elif kind == "moved":
        changed.insert(draw.randrange(len(changed) + 1), member)
    elif kind == "link":
        type = draw.choice((tarfile.SYMTYPE, tarfile.LNKTYPE))
        changed.insert(at, Member(member.name, b"", type))
    elif kind == "odd":
        changed.insert(at, member._replace(data=draw.randbytes(draw.choice((1, 40, 600)))))
    elif kind == "empty":
        changed.insert(at, member._replace(data=b""))
    elif kind == "renamed":
        name = draw.choice(("../x.jpg", "/x.jpg", "x", ".x.jpg", member.name.upper(), "a.b.c.txt"))
        changed.insert(at, member._replace(name=name))
    elif kind == "json":
        changed.insert(at, _odd_json(member, draw))
    if not changed:
        return _member(samples, members, data, format, draw)
    new = _encode(changed, format)
    # A member that moves between the members of another sample breaks that one in two.
    return Damaged(f"a member {kind}: {member.name}", {NAME: new}, 2, 2, units=_count(new))


def _odd_json(member: Member, draw: Random) -> Member:
    if not member.name.endswith(".json"):
        return member._replace(name=f"{member.name}.more")
    change = draw.choice((damage.with_an_odd_field, damage.without_a_field))
    return member._replace(data=json.dumps(change(json.loads(member.data), draw)).encode())


def _bytes(
    samples: list[Sample], members: list[Member], data: bytes, format: int, draw: Random
) -> Damaged:
    new, _, what = damage.bytes_changed(data, draw)
    return Damaged(what, {NAME: new}, None, 2, True, _count(new))


MAKERS = {"webdataset": webdataset}
