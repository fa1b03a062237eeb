// Sources of GraftTraining.
