"""Sources and what is read of them: files, folders, lists, object stores, stills, and frames of clips."""
