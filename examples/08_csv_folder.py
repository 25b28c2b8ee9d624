"""A third system: people in a CSV file, which a spreadsheet edits, kept in step with EspoCRM."""

import asyncio
import csv
import hashlib
import io
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from bidisync import FieldMap, FieldMapper, Limits, Value, open_pair
from bidisync.errors import Rejected, Stale, Unavailable, Unconfirmed
from bidisync_espo_advo import Settings, open_espocrm
from bidisync_espo_advo.simulators import espocrm_simulator

ESPOCRM = {"family_name": "lastName", "given_name": "firstName", "title": "titel", "birth_date": "dateOfBirth"}
MAPPER = FieldMapper(tuple(FieldMap(field, attribute) for field, attribute in ESPOCRM.items()))
WHO = ("family_name", "given_name", "birth_date")
Record = Mapping[str, object]
NUMBERS = 2_000_000_000  # EspoCRM notes the number of a row at its record, as a whole number


@attrs.frozen
class CsvFile:
    """Rows by the numbers in the column ``id``, which whoever adds one may leave empty; a digest is their version."""

    path: Path

    def all(self) -> Iterable[Record]:
        return map(record, self.read()[2].values())

    def get(self, id: str) -> Record | None:
        return next((found for found in self.all() if found["id"] == id), None)

    def add(self, fields: Mapping[str, Value]) -> Record:
        return self.change(str(secrets.randbelow(NUMBERS)), fields, None)

    def remove(self, id: str, version: str | None) -> None:
        self.change(id, {}, version, keep=False)

    def change(self, id: str, fields: Mapping[str, Value], version: str | None, *, keep: bool = True) -> Record:
        content, columns, rows = self.read()
        if version != (record(rows[id])["version"] if id in rows else None):
            raise Stale("the row was changed meanwhile")
        if lacks := sorted(fields.keys() - columns):
            raise Rejected(f"the file has no column {lacks[0]}", field=lacks[0])
        cells = {name: "" if value is None else str(value) for name, value in fields.items()}
        rows[id] = {**dict.fromkeys(columns, ""), **rows.get(id, {}), **cells, "id": id}
        self.write(content, columns, [row for row in rows.values() if keep or row["id"] != id])
        return record(rows[id])

    def read(self) -> tuple[bytes, list[str], dict[str, dict[str, str]]]:
        try:
            content = self.path.read_bytes()
            reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
            rows, columns = list(reader), list(reader.fieldnames or ())
        except (OSError, ValueError, csv.Error) as error:
            raise Unavailable("the file can't be read", system="csv") from error
        if "id" not in columns or content[-1:] != b"\n" or any(None in [*row, *row.values()] for row in rows):
            raise Unavailable("the file is only half there", system="csv")
        if not all(row["id"] for row in rows):
            self.write(content, columns, [row | {"id": row["id"] or str(secrets.randbelow(NUMBERS))} for row in rows])
            return self.read()
        if len(by_number := {row["id"]: row for row in rows}) < len(rows):
            raise Unavailable("two rows have one number", system="csv")
        return content, columns, by_number

    def write(self, before: bytes, columns: list[str], rows: Iterable[dict[str, str]]) -> None:
        text, ends = io.StringIO(newline=""), "\r\n" if b"\r\n" in before else "\n"
        csv.DictWriter(text, columns, lineterminator=ends).writerows([{name: name for name in columns}, *rows])
        try:
            with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=".csv-") as folder:
                with open(new := Path(folder, "new"), "wb", buffering=0) as file:
                    file.write(text.getvalue().encode("utf-8-sig" if before[:3] == b"\xef\xbb\xbf" else "utf-8"))
                    os.fsync(file.fileno())
                shutil.copymode(self.path, new)
                if self.path.read_bytes() != before:
                    raise Stale("another program wrote the file meanwhile")
                os.replace(new, self.path)
        except OSError as error:
            raise Unconfirmed("the file can't be written", system="csv") from error


def record(row: dict[str, str]) -> Record:
    cells = {name: cell or None for name, cell in row.items()}
    return cells | {"version": hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()}


async def main(people: Path) -> None:
    people.write_text("id,family_name,given_name,title,birth_date,remark\n,Ahorn,Gerda,,1970-01-31,by phone\n")
    async with espocrm_simulator() as server:
        async with open_espocrm(Settings.from_tables({"espocrm": server.config}), MAPPER) as crm:
            async with open_pair(crm, CsvFile(people), fields=ESPOCRM, match=WHO, limits=Limits()) as sync:
                await sync.sync()
                server.store.edit(*server.store.records, titel="Dr.")
                people.write_text(people.read_text().replace("Ahorn", "Ahorn-Beer"))
                await sync.sync()
                print(people.read_text(), *(found["lastName"] for found in server.store.records.values()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder, "people.csv")))
