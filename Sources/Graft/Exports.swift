// One import gives the whole library: the nouns, adapters, models, training and the verbs.
@_exported public import GraftAdapters
@_exported public import GraftCore
@_exported public import GraftGraph
@_exported public import GraftModels
@_exported public import GraftTraining
