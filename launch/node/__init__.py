"""The process that runs torch's elastic agent."""
