// Sources of GraftAdapters.
