"""Output files that keep the beginning and the end, whatever a program writes."""

from pathlib import Path


class CappedLog:
    """A file of at most `cap` bytes: the head is written at once, the tail when it is closed.

    A full disk does not stop the program whose output this is: the problem is kept in `problem`
    and the rest is only counted. `kept`, if it is wanted, has what the program's part of the file
    should be.
    """

    def __init__(self, path: Path, cap: int, keep: bool = False) -> None:
        self.problem: str | None = None
        self.kept: bytearray | None = bytearray() if keep else None
        self._tail_size = cap // 10
        self._head_left = cap - self._tail_size
        self._tail = bytearray()
        self._left_out = 0
        self._file = path.open("wb", buffering=0)

    def write(self, data: bytes) -> None:
        head = data[: self._head_left]
        if head:
            self._head_left -= len(head)
            self._store(head)
        self._tail += data[len(head) :]
        # Cutting at twice the size keeps the cost of cutting small.
        if len(self._tail) > 2 * self._tail_size:
            self._cut_tail()

    def close(self, remark: str = "") -> None:
        """Complete the file; a `remark` of ours goes on a line of its own after the output."""
        self._cut_tail()
        if self._left_out:
            self._store(f"\n[… {self._left_out} bytes left out here …]\n".encode())
        self._store(bytes(self._tail))
        if remark:
            is_empty = self._file.tell() == 0
            self._write(f"{remark}\n".encode() if is_empty else f"\n{remark}\n".encode())
        self._file.close()

    def _cut_tail(self) -> None:
        surplus = len(self._tail) - self._tail_size
        if surplus > 0:
            del self._tail[:surplus]
            self._left_out += surplus

    def _store(self, data: bytes) -> None:
        if self.kept is not None:
            self.kept += data
        self._write(data)

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            self.problem = self.problem or f"{self._file.name}: {error.strerror}"
