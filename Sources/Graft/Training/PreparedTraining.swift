internal import GraftTraining

/// A run that is read, checked and compiled, before anything is written.
struct PreparedTraining {
  let settings: TrainingSettings
  let text: TokenizedText
  let validationText: TokenizedText?
  let windows: TokenWindows
  let subject: TrainingSubject
  let trainer: Trainer
  let validation: (evaluator: Evaluator, windows: TokenWindows)?
}
