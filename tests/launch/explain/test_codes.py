from pathlib import Path

from resumable.launch.explain import codes


def test_every_module_of_codes_is_known_to_who_reads_results():
    """A code whose module nobody imports could be written, and not be read again."""
    folder = Path(codes.__file__).parent
    expected = {file.stem for file in folder.glob("*.py")} - {"__init__", "statement"}
    assert expected == set(codes.__all__)
