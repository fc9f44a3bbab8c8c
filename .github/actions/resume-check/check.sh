#!/usr/bin/env bash
# The check of action.yml: SCRIPT, ARGUMENTS, COMMAND, OPTIONS and FOLDER say what is run; ends with its exit code.
set -uo pipefail
read -ra options <<< "$OPTIONS"
read -ra arguments <<< "$ARGUMENTS"
mkdir -p "$FOLDER"

# Annotations on the changed files come by themselves where GITHUB_ACTIONS is set.
resumable "$COMMAND" "${options[@]}" --run-dir "$FOLDER/run" --markdown "$FOLDER/summary.md" --html "$FOLDER/report.html" \
    --junit "$FOLDER/junit.xml" --bundle "$FOLDER/bundle.zip" "$SCRIPT" "${arguments[@]}"
code=$?

rm -rf "$FOLDER/run" # checkpoints too; the bundle has the evidence
if [ -f "$FOLDER/summary.md" ]; then
    cat "$FOLDER/summary.md" >> "$GITHUB_STEP_SUMMARY"
    case $code in
        0) echo verdict=valid ;;
        1) echo verdict=invalid ;;
        *) echo verdict=unknown ;;
    esac >> "$GITHUB_OUTPUT"
fi
exit "$code"
