// Sources of GraftHDF5.
