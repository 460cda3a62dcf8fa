"""Looking around in a data set with filters: computing, panels, widgets, and the same as an app."""
