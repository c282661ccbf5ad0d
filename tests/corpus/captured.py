"""What is really sent: by translation, data acquisition, web buttons, simulators and agents."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tests.corpus.body import DATA_READY, SMS_OF_ARCS, Body, Run, arcs, body, written

_FOLDER = Path(__file__).parent / "captured"
_ARCS = arcs(214583)
_HYSA = Run("hysa", 321, "IPTS-12345", "SNS", "/bin/true")
_REF_L = Run(
    "ref_l", 214746, "IPTS-33077", "SNS", "/SNS/REF_L/IPTS-33077/nexus/REF_L_214746.nxs.h5"
)
_REF_M = Run("ref_m", 42112, "IPTS-30794", "SNS", "/SNS/REF_M/IPTS-30794/nexus/REF_M_42112.nxs.h5")

_FILES: tuple[tuple[str, str, Run], ...] = (
    ("stc_data_ready", DATA_READY, _ARCS),
    ("stc_data_ready", "/queue/POSTPROCESS.DATA_READY", _ARCS),
    ("stc_data_ready", "TRANSLATION.STARTED", _ARCS),
    ("stc_data_ready", "TRANSLATION.COMPLETE", _ARCS),
    ("stc_data_ready", "FERMI_REDUCTION.DATA_READY", _ARCS),
    ("web_reduce", "/queue/REDUCTION.REQUEST", _ARCS),
    ("web_catalogue", "/queue/CATALOG.REQUEST", _REF_L),
    ("web_all_post_processing", "/queue/POSTPROCESS.DATA_READY", _REF_M),
    ("web_admin_submit", "REDUCTION.REQUEST", arcs(201562)),
    ("web_admin_submit", "REDUCTION.NOT_NEEDED", arcs(201562)),
    ("web_without_path_slash", DATA_READY, Run("hysa", 324, "IPTS-12345", "SNS", "hysa_324.nxs")),
    ("old_agent_reply", "/queue/CATALOG.ONCAT.STARTED", _ARCS),
    ("old_agent_reply", "/queue/CATALOG.ONCAT.COMPLETE", _ARCS),
    ("old_agent_catalogue_error", "/queue/CATALOG.ONCAT.ERROR", _ARCS),
    ("old_agent_reply", "/queue/REDUCTION.STARTED", _ARCS),
    ("old_agent_reply_to_stc", "/queue/REDUCTION.COMPLETE", _ARCS),
    ("old_agent_reduction_error", "/queue/REDUCTION.ERROR", _ARCS),
    ("old_agent_memory", "/queue/REDUCTION.ERROR", _ARCS),
    ("old_agent_time", "/queue/REDUCTION.ERROR", _ARCS),
    ("old_agent_reply", "/queue/REDUCTION.DISABLED", _ARCS),
    ("old_agent_reply", "/queue/REDUCTION_CATALOG.STARTED", _ARCS),
    ("old_agent_reply", "/queue/REDUCTION_CATALOG.COMPLETE", _ARCS),
    ("old_agent_catalogue_error", "/queue/CATALOG.ERROR", _ARCS),
    ("old_agent_catalogue_error", "REDUCTION_CATALOG.ERROR", _ARCS),
    ("old_agent_file_not_found", "POSTPROCESS.ERROR", _ARCS),
    ("old_agent_reply", "/queue/CALVERA.RAW.COMPLETE", _ARCS),
    ("old_agent_reduction_error", "/queue/INTERSECT.REDUCED.ERROR", _ARCS),
    ("old_agent_reply", "CATALOG.STARTED", _ARCS),
    ("old_agent_reply", "CATALOG.COMPLETE", _ARCS),
    ("agent_started", "/queue/REDUCTION.STARTED", _ARCS),
    ("agent_complete", "/queue/REDUCTION.COMPLETE", _ARCS),
    ("agent_error", "/queue/REDUCTION.ERROR", _ARCS),
    ("agent_outside_tree", "/queue/POSTPROCESS.ERROR", _HYSA),
    ("recovery_without_facility", "POSTPROCESS.INFO", _ARCS),
    ("recovery_without_facility", "POSTPROCESS.CHECK", _ARCS),
    ("sms_run_started", SMS_OF_ARCS, Run("arcs", 214584, "IPTS-27800")),
    ("sms_run_started", "SNS.ARCS.APP.SMS", Run("arcs", 214584, "IPTS-27800")),
    ("sms_translation_succeeded", "SNS.SEQ.APP.SMS", Run("seq", 214585, "IPTS-27800")),
    ("sms_of_hfir", "/topic/HFIR.CG2.APP.SMS", Run("cg2", 17, "IPTS-9", "HFIR")),
    ("sms_of_hfir", "HFIR.CG3.APP.SMS", Run("cg3", 17, "IPTS-9", "HFIR")),
)

# The ten runs of the simulator: instrument, proposal, numbers; they come as texts.
_SIMULATED = (
    ("HYSA", "IPTS-12345", (321, 322, 323)),
    ("ARCS", "IPTS-27278", (214581,)),
    ("ARCS", "IPTS-27800", (201562, 214583)),
    ("REF_M", "IPTS-30794", (42112, 42113)),
    ("REF_L", "IPTS-33077", (214746, 214747)),
)

_REASONS_OF_SMS = (
    "SMS run stopped",
    "SMS run paused",
    "SMS run resumed",
    "SMS Start Run Sent to STC",
    "STC Send Pending",
    "Rescan STC Send Pending",
    "STC Connection Error: no route to host",
    "Needs Manual Translation, see /SNS/ARCS",
)


def bodies() -> Iterable[Body]:
    for file, destination, run in _FILES:
        content = (_FOLDER / f"{file}.json").read_bytes()
        yield body(f"{file} on {destination}", content, run, destination)
    yield from _simulated()
    note = {"msg_type": "2686451712", "run_number": "214586", "ipts": "IPTS-27800"}
    for reason in _REASONS_OF_SMS:
        content = written(note | {"instrument": "BL18", "facility": "SNS", "reason": reason})
        yield body(f"sms: {reason}", content, Run("arcs", 214586, "IPTS-27800"), SMS_OF_ARCS)


def _simulated() -> Iterable[Body]:
    for instrument, proposal, numbers in _SIMULATED:
        for number in numbers:
            file = f"/SNS/{instrument}/{proposal}/nexus/{instrument}_{number}.nxs.h5"
            run = Run(instrument.lower(), number, proposal, "SNS", file)
            run = replace(run, data_file="/bin/true") if instrument == "HYSA" else run
            content = {
                "instrument": instrument,
                "ipts": proposal,
                "run_number": str(number),
                "facility": "SNS",
                "data_file": run.data_file,
            }
            yield body(f"simulated {instrument} {number}", written(content), run)
