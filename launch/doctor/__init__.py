"""What on this machine will make restarts fail, with the mend."""

from resumable.launch.doctor.examination import add_doctor_flags, run_doctor

__all__ = ["add_doctor_flags", "run_doctor"]
