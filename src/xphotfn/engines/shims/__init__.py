"""SAS's command line without SAS."""
