"""Bodies that are the path of a data file, and such as nearly are."""

from collections.abc import Iterable

from tests.corpus.body import DATA_READY, FACILITY_ROOT, Body, Run, body, rejected

_LONG = "/SNS/ARCS/IPTS-1/nexus/" + "x" * 4100 + "/ARCS_1.nxs.h5"

# The body, and what it says: instrument, number, proposal, facility.
_RUNS: tuple[tuple[str, tuple[str, int, str, str]], ...] = (
    ("/SNS/ARCS/IPTS-1/nexus/ARCS_1.nxs.h5", ("arcs", 1, "IPTS-1", "SNS")),
    ("/SNS/REF_L/IPTS-1/nexus/REF_L_2.nxs.h5", ("ref_l", 2, "IPTS-1", "SNS")),
    ("/SNS/REF_M/IPTS-1/nexus/REF_M_3.nxs.h5", ("ref_m", 3, "IPTS-1", "SNS")),
    ("/SNS/REF_M/IPTS-1/nexus/REF_M.4.nxs.h5", ("ref_m", 4, "IPTS-1", "SNS")),
    ("/SNS/EQSANS/IPTS-1/0/5/NeXus/EQSANS_5_event.nxs", ("eqsans", 5, "IPTS-1", "SNS")),
    ("/SNS/EQSANS/IPTS-1/EQSANS_1/EQSANS_6_event.nxs", ("eqsans", 6, "IPTS-1", "SNS")),
    ("/SNS/EQSANS/IPTS-1/EQSANS_7/data.nxs", ("eqsans", 7, "IPTS-1", "SNS")),
    ("/HFIR/CG2/IPTS-9/exp7/CG2_000018.nxs.h5", ("cg2", 18, "IPTS-9", "HFIR")),
    ("/HFIR/HB2C/IPTS-9/nexus/HB2C_19.nxs.h5", ("hb2c", 19, "IPTS-9", "HFIR")),
    ("/sns/arcs/ipts-1/nexus/arcs_8.nxs.h5", ("arcs", 8, "IPTS-1", "SNS")),
    ("/SNS/ARCS/IPTS-1/two words/ARCS_9.nxs.h5", ("arcs", 9, "IPTS-1", "SNS")),
    ("/SNS/ARCS/IPTS-1/Größe/ARCS_10.nxs.h5", ("arcs", 10, "IPTS-1", "SNS")),
    ("/SNS/ARCS/IPTS-1/試料/ARCS_11.nxs.h5", ("arcs", 11, "IPTS-1", "SNS")),
    ("/SNS/ARCS/IPTS-1/$(id);`id`/ARCS_12.nxs.h5", ("arcs", 12, "IPTS-1", "SNS")),
    ("/SNS/ARCS/IPTS-1/nexus/ARCS_0.nxs.h5", ("arcs", 0, "IPTS-1", "SNS")),
    ("/SNS/ARCS/IPTS-1/nexus/ARCS_2147483647.nxs.h5", ("arcs", 2**31 - 1, "IPTS-1", "SNS")),
)

_NO_RUNS: tuple[tuple[str, str, str], ...] = (
    ("only a slash", "/", "too short"),
    ("two parts", "/SNS/ARCS", "too short"),
    ("five tokens", "/SNS/ARCS/IPTS-1/ARCS_5.nxs", "too short"),
    ("relative", "SNS/ARCS/IPTS-1/nexus/ARCS_5.nxs.h5", "neither JSON"),
    ("of a home", "~/ARCS/IPTS-1/nexus/ARCS_5.nxs.h5", "neither JSON"),
    ("of Windows", "C:\\SNS\\ARCS\\IPTS-1\\nexus\\ARCS_5.nxs.h5", "neither JSON"),
    ("an address", "file:///SNS/ARCS/IPTS-1/nexus/ARCS_5.nxs.h5", "neither JSON"),
    ("no run number", "/SNS/ARCS/IPTS-1/nexus/data.nxs.h5", "no run number"),
    ("letters for a number", "/SNS/ARCS/IPTS-1/nexus/ARCS_x.nxs.h5", "is <instrument>_<run"),
    ("another instrument's file", "/SNS/ARCS/IPTS-1/nexus/CNCS_5.nxs.h5", "no run number"),
    ("half of the instrument", "/SNS/REF/IPTS-1/nexus/REF_L_5.nxs.h5", "no run number"),
    ("empty instrument", "/SNS//IPTS-1/nexus/_5.nxs.h5", 'instrument is "", which is not a name'),
    ("a dot as instrument", "/SNS/./IPTS-1/nexus/._5.nxs.h5", "which is not a name"),
    ("dots as instrument", "/SNS/../IPTS-1/nexus/.._1.nxs.h5", "which is not a name"),
    ("climbing", "/SNS/ARCS/IPTS-1/nexus/../../ARCS_5.nxs.h5", "climbs with '..'"),
    ("climbing at the end", "/SNS/ARCS/IPTS-1/nexus/ARCS_5/..", "climbs with '..'"),
    ("a facility with a blank", "/my data/ARCS/IPTS-1/nexus/ARCS_5.nxs", 'facility is "MY DATA"'),
    ("a proposal with a blank", "/SNS/ARCS/IPTS 1/nexus/ARCS_5.nxs", 'ipts is "ipts 1"'),
    ("two lines", "/SNS/ARCS/IPTS-1/nexus/ARCS_5.nxs\n/SNS/ARCS/IPTS-1/nexus/ARCS_6.nxs", "U+000A"),
    ("a NUL", "/SNS/ARCS/IPTS-1/nexus/ARCS_5\0.nxs", "U+0000"),
    ("a bell", "/SNS/ARCS/IPTS-1/nexus/ARCS_5\a.nxs", "U+0007"),
    ("written backwards", "/SNS/ARCS/IPTS-1/nexus/ARCS_5.\u202esxn", "U+202E"),
    (
        "a number of 10 digits",
        "/SNS/ARCS/IPTS-1/nexus/ARCS_2147483648.nxs",
        "run_number is 2147483648",
    ),
    ("a number of 21 digits", "/SNS/ARCS/IPTS-1/nexus/ARCS_" + "9" * 21, "not a whole number"),
    ("a number of 4000 digits", "/SNS/ARCS/IPTS-1/nexus/ARCS_" + "9" * 4000, "4002 characters"),
    ("longer than a path", _LONG, f"The path has {len(_LONG)} characters"),
)


def bodies() -> Iterable[Body]:
    for path, (instrument, number, proposal, facility) in _RUNS:
        run = Run(instrument, number, proposal, facility, path)
        yield body(f"path {path}", path.encode(), run)
    for name, path, words in _NO_RUNS:
        yield rejected(f"path: {name}", path.encode(), words)
    yield from _decorated()


def _decorated() -> Iterable[Body]:
    path = "/SNS/REF_L/IPTS-1/nexus/REF_L_20.nxs.h5"
    run = Run("ref_l", 20, "IPTS-1", "SNS", path)
    around = {
        "a newline": f"{path}\n",
        "Windows' newline": f"{path}\r\n",
        "blanks": f"  \t{path} ",
        "a byte order mark": f"\ufeff{path}",
        "the facility's root in front": f"{FACILITY_ROOT}{path}",
    }
    for name, text in around.items():
        yield body(f"path with {name}", text.encode(), run)
    for destination in (f"/queue/{DATA_READY}", "CATALOG.REQUEST", "/queue/REDUCTION.REQUEST"):
        yield body(f"path on {destination}", path.encode(), run, destination)
    elsewhere = f"{FACILITY_ROOT}2{path}"
    yield rejected("path under another root", elsewhere.encode(), "no run number")
