"""What on this machine would make restarts fail, and how to fix it."""

from resumable.launch.doctor.examination import run_doctor

__all__ = ["run_doctor"]
