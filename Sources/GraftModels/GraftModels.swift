// Sources of GraftModels.
