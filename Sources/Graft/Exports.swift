// One import gives the whole library: the nouns, formats, adapters, models, training and the verbs.
@_exported public import GraftAdapters
@_exported public import GraftCore
@_exported public import GraftFormats
@_exported public import GraftGraph
@_exported public import GraftHDF5
@_exported public import GraftModels
@_exported public import GraftTraining
