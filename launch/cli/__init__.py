"""The only place that knows argparse: parser, flags, commands."""
