// Sources of GraftKernels.
