internal import Foundation
internal import GraftCore
internal import GraftFormats

extension OpenedCheckpoint {
  /// The tensors, with the words of a table among them wherever its format keeps them.
  ///
  /// Words that aren't tensors are written into temporary files, which go with the result.
  func readerWithWords() throws -> any CheckpointReader {
    let hasTensors = StaticEmbeddingLayout(reader.tensors)?.vocabulary != nil
    guard !hasTensors, let vocabulary = try vocabulary() else { return reader }
    let target = NSTemporaryDirectory() + "/graft-\(UUID().uuidString)"
    return try TableWithWords(reader, SpilledVocabulary(vocabulary, beside: target))
  }
}
