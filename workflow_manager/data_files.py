"""The data files of an instrument, as they lie in the facility's tree.

Only names are read. Symbolic links are not followed, and no folder is entered that is not part of
a known layout, so that a tree that is huge or hostile costs time at worst.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

# Folders between a proposal's and its files, newest layout first; `#` is any number.
#     /SNS/ARCS/IPTS-1/nexus/ARCS_7.nxs.h5
#     /SNS/ARCS/IPTS-1/data/ARCS_7_event.nxs
#     /SNS/ARCS/IPTS-1/0/7/NeXus/ARCS_7_event.nxs
LAYOUTS = (("nexus",), ("data",), ("#", "#", "NeXus"))
_FILE = r"{instrument}_(\d{{1,10}})(?:_event)?\.nxs(?:\.h5)?"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.IGNORECASE | re.ASCII)
_PROPOSAL = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.IGNORECASE | re.ASCII)
_NO_PROPOSALS = frozenset({"shared"})
_LARGEST_NUMBER = 2**31 - 1
_MOST_FILES = 2_000_000


class TreeError(Exception):
    """Nothing can be said about an instrument's files; the text is one sentence."""


@dataclass(slots=True)
class Files:
    """What was found: the path of each run's file, as on the facility (`/SNS/ARCS/…`).

    `unreadable` are folders whose content is not known, each as a sentence.
    """

    by_number: dict[int, str] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


def files_of(instrument: str, facility: str, root: Path) -> Files:
    """Look through the folders of an instrument; of an unknown facility if `facility` is empty.

    Raises:
        TreeError: the folder of the instrument is not there, cannot be read, or is empty.
    """
    if not _NAME.fullmatch(instrument):
        raise TreeError(f"{instrument!r} is not the name of an instrument.")
    found = Files()
    pattern = _FILE.format(instrument=re.escape(instrument))
    is_data_file = re.compile(pattern, re.IGNORECASE | re.ASCII)
    for proposal in _proposals(_folder_of(instrument, facility, root)):
        for layout in LAYOUTS:
            for folder in _folders(proposal, layout, found):
                _take_in(folder, is_data_file, root, found)
    return found


def _folder_of(instrument: str, facility: str, root: Path) -> Path:
    facilities = [root / facility] if facility else _facilities(root)
    folders = [each / instrument.upper() for each in facilities]
    there = [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]
    if not there:
        where = " or ".join(map(str, folders)) or f"{root}/*/{instrument.upper()}"
        raise TreeError(f"There is no folder {where}; is the file server there?")
    return there[0]


def _facilities(root: Path) -> list[Path]:
    try:
        with os.scandir(root) as entries:
            return sorted(Path(entry.path) for entry in entries if _is_folder(entry, _NAME))
    except OSError as error:
        raise TreeError(f"{root} cannot be read: {error.strerror}.") from error


def _proposals(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [Path(entry.path) for entry in entries if _is_folder(entry, _PROPOSAL)]
    except OSError as error:
        raise TreeError(f"{folder} cannot be read: {error.strerror}.") from error
    proposals = [path for path in found if path.name not in _NO_PROPOSALS]
    if not proposals:
        raise TreeError(f"{folder} has no proposals; is the file server there?")
    return sorted(proposals)


def _is_folder(entry: "os.DirEntry[str]", name: re.Pattern[str]) -> bool:
    return bool(name.fullmatch(entry.name)) and entry.is_dir(follow_symlinks=False)


def _folders(start: Path, layout: tuple[str, ...], found: Files) -> Iterator[Path]:
    """The folders of this layout; what is not there is no trouble, what cannot be read is."""
    if not layout:
        yield start
        return
    first, *rest = layout
    pattern = re.compile(r"\d{1,10}" if first == "#" else re.escape(first), re.ASCII)
    for name in _names(start, lambda entry: _is_folder(entry, pattern), found):
        yield from _folders(start / name, tuple(rest), found)


def _names(folder: Path, accepts: Callable[["os.DirEntry[str]"], bool], found: Files) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if accepts(entry)]
    except FileNotFoundError:
        return []  # removed while we looked
    except OSError as error:
        sentence = f"{folder} cannot be read: {error.strerror}."
        if sentence not in found.unreadable:
            found.unreadable.append(sentence)
        return []


def _take_in(folder: Path, is_data_file: re.Pattern[str], root: Path, found: Files) -> None:
    place = f"/{folder.relative_to(root)}/"
    for name in _names(folder, lambda entry: _is_file(entry, is_data_file), found):
        match = is_data_file.fullmatch(name)
        if match and int(match[1]) <= _LARGEST_NUMBER:
            found.by_number.setdefault(int(match[1]), place + name)
    if len(found.by_number) > _MOST_FILES:
        raise TreeError(f"There are more than {_MOST_FILES} files; this cannot be right.")


def _is_file(entry: "os.DirEntry[str]", name: re.Pattern[str]) -> bool:
    return bool(name.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False)


@dataclass(frozen=True, slots=True)
class Sight:
    """Whether a file is there; `modified_at` in seconds since 1970, `trouble` if nobody knows."""

    is_there: bool
    modified_at: float = 0.0
    trouble: str = ""


def sight_of(path: str, root: Path) -> Sight:
    """Look at a file by its path as on the facility, without opening it."""
    parts = Path(path.lstrip("/")).parts
    if not path.startswith("/") or ".." in parts or "\0" in path:
        return Sight(is_there=False, trouble=f"{path!r} is no path in the facility's tree.")
    try:
        modified_at = os.lstat(root.joinpath(*parts)).st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return Sight(is_there=False)
    except OSError as error:
        return Sight(is_there=False, trouble=f"{path} cannot be looked at: {error.strerror}.")
    return Sight(is_there=True, modified_at=modified_at)
