"""The pages of a case file on one source: the verdict first, then what it rests on, and the file."""

from __future__ import annotations

from collections.abc import Iterator

from vidscan.report.content.facts import Fact, file_facts
from vidscan.report.content.file_view import FileView, thresholds
from vidscan.report.declaration import NOT_TAKEN_OVER
from vidscan.report.document import Document
from vidscan.report.legend import NOT_COMPARABLE, SHARE_AND_QUALITY
from vidscan.report.pdf.drawings import faces, gauge, timeline
from vidscan.report.pdf.sheet import SMALL, SOFT, TEXT, Sheet
from vidscan.report.summary import suspicion
from vidscan.report.wording import clock, counted, remark, score

MAX_ROWS = 12
"""Upper limit on the tracks, and on the stretches, that are listed."""

MAX_DECLARED = 24
"""Upper limit on the entries listed of what a file says of itself."""


def source_pages(sheet: Sheet, document: Document, view: FileView, name: str) -> None:
    """Writes all on one source, from a new page on."""
    sheet.new_page(name)
    sheet.heading(name, 0)
    _verdict(sheet, document, view)
    _remarks(sheet, view)
    if view.basis:
        sheet.heading("What it rests on", 1)
        sheet.facts(view.basis)
    if view.chart is not None:
        sheet.heading("Timeline", 1, room=68.0)
        timeline(sheet, view.chart, view.strip)
        _stretches(sheet, view)
    if view.result["tracks"]:
        _people(sheet, view)
    if view.declared:
        sheet.heading("What the file says of itself", 1)
        sheet.facts(view.declared[:MAX_DECLARED])
        _more(sheet, len(view.declared) - MAX_DECLARED, "entry", "entries")
        sheet.paragraph(NOT_TAKEN_OVER, size=SMALL, colour=SOFT)
    sheet.heading("File", 1, room=45.0)
    sheet.facts(_file(view))


def _verdict(sheet: Sheet, document: Document, view: FileView) -> None:
    fake, real = thresholds(document)
    top = sheet.y
    sheet.badge(view.label, 13)
    if view.probability is not None:
        sheet.set_xy(sheet.x + 4, top)
        sheet.words(f"P(fake) {view.score}", 13, bold=True, height=6.8)
        if view.interval is not None:
            low, high = view.interval
            sheet.words(f"  ({score(low)} to {score(high)})", 11, SOFT, height=6.8)
        sheet.words(f"   {view.certainty}", TEXT, SOFT, height=6.8)
    sheet.set_xy(sheet.l_margin, top + 9)
    if view.probability is not None:
        gauge(sheet, view, fake, real)
    verdict, error = view.result["verdict"], view.result["error"]
    sheet.paragraph(verdict["reason"] if verdict else error["message"], size=10, gap=2)
    if view.declaration:
        sheet.paragraph(view.declaration)
    if view.contradiction:
        sheet.paragraph(view.contradiction, bold=True)


def _remarks(sheet: Sheet, view: FileView) -> None:
    """What was done to the source, or left out."""
    remarks = view.result.get("remarks", ())
    if remarks:
        sheet.heading("What was done to it, or not looked at", 1)
        for each in remarks:
            sheet.paragraph(each["text"], gap=1)


def _stretches(sheet: Sheet, view: FileView) -> None:
    told = [
        "Each line is a track: a person in one shot.",
        "Dashed lines are the thresholds; stretches that look synthesised are shaded.",
    ]
    if view.result["stats"]["cuts_s"]:
        told.append("Thin vertical lines are cuts.")
    if view.result["stats"]["faces_unjudged"]:
        told.append("Hollow squares at the foot are faces too small to judge.")
    sheet.paragraph(" ".join(told), size=SMALL, colour=SOFT)
    stretches = [
        f"{clock(each['start_s'])} – {clock(each['end_s'])} (track {each['track']}, "
        f"{score(each['fake_probability'])})"
        for each in view.result["segments"]
    ]
    if stretches:
        more = f" and {len(stretches) - MAX_ROWS:,} more" if len(stretches) > MAX_ROWS else ""
        sheet.paragraph(f"Suspicious stretches: {'; '.join(stretches[:MAX_ROWS])}{more}.")


def _people(sheet: Sheet, view: FileView) -> None:
    video = view.result["kind"] == "video"
    tracks = sorted(
        view.result["tracks"],
        key=lambda track: (not track["counted"], -suspicion(track["fake_probability"]), track["id"]),
    )
    sheet.heading("People and faces" if video else "Faces", 1, room=55.0)
    if video:
        heads = (
            "track",
            "P(fake)",
            "share",
            "faces",
            "quality",
            "seen",
            "person" if view.persons else "",
            "",
        )
        person = 14.0 if view.persons else 3.0
        widths = (12.0, 15.0, 13.0, 13.0, 15.0, 32.0, person, sheet.epw - 100 - person)
        sheet.rows(heads, widths, (_row(view, track) for track in tracks[:MAX_ROWS]), right=5)
        _more(sheet, len(tracks) - MAX_ROWS, "track", "tracks")
        sheet.paragraph(SHARE_AND_QUALITY, size=SMALL, colour=SOFT)
    if not view.pictures.strips:
        sheet.paragraph("No pictures of the faces were kept in this scan.", size=SMALL, colour=SOFT)
        return
    what = "Track" if video else "Face"
    names = {
        track["id"]: f"{what} {track['id']}"
        + (f" (person {view.persons[track['id']]})" if track["id"] in view.persons else "")
        for track in tracks
    }
    left_out = faces(sheet, view.pictures, names, timed=video)
    if view.pictures.heat_origin:
        told = f"Below the faces, heat maps of what spoke for a forgery. {view.pictures.heat_origin}"
        sheet.paragraph(f"{told} {NOT_COMPARABLE}", size=SMALL, colour=SOFT)
    _more(sheet, left_out, "face", "faces", "kept for an HTML report")


def _row(view: FileView, track: Document) -> tuple[str, ...]:
    stream = f"stream {track['stream']}" if track.get("stream") else ""
    notes = (stream, remark(track["note"], track["quality"]))
    return (
        str(track["id"]),
        score(track["fake_probability"]),
        f"{track['weight']:.0%}" if track["counted"] else score(None),
        f"{track['faces']:,}",
        f"{track['quality']:.2f}",
        f"{clock(track['start_s'])} – {clock(track['end_s'])}",
        str(view.persons.get(track["id"], "")),
        ", ".join(filter(None, notes)),
    )


def _file(view: FileView) -> Iterator[Fact]:
    yield from file_facts(view.result)
    if view.result["facts"] is None:
        yield Fact("SHA-256", "not known: the file could not be read, so neither its size nor its hash is")


def _more(sheet: Sheet, count: int, what: str, plural: str, where: str = "in a JSON report") -> None:
    if count > 0:
        are = "is" if count == 1 else "are"
        sheet.paragraph(f"{counted(count, what, plural)} more {are} {where}.", size=SMALL, colour=SOFT)
