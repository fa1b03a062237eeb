// Sources of GraftFormats.
