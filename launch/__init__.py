"""Launcher and rig that prove a resume."""
