import GraftModels
import Testing

struct TextBeforeMarkTests {
  /// What is passed on piece by piece, then at the end.
  private func passed(_ pieces: [String], mark: String) -> (pieces: [String], isFound: Bool) {
    var text = TextBeforeMark(mark)
    let parts = pieces.map { text.append($0) }
    return (parts + [text.finish()], text.isFound)
  }

  @Test(
    arguments: [
      (["Yes.", "<|end|>", "more"], ["Yes.", "", "", ""], true),
      (["Yes.<|", "en", "d|>\n"], ["Yes.", "", "", ""], true),
      (["a<|e", "x", "<|end|>"], ["a", "<|ex", "", ""], true),
      (["<<|end|>"], ["<", ""], true),
      (["a <| b", " <|en"], ["a <| b", " ", "<|en"], false),
      (["né", "«", "<|end"], ["né", "«", "", "<|end"], false),
    ])
  func `text is passed on up to the mark, and held back while it may be the mark`(
    pieces: [String], expected: [String], isFound: Bool
  ) {
    let result = passed(pieces, mark: "<|end|>")
    #expect(result.pieces == expected)
    #expect(result.isFound == isFound)
  }

  @Test func `an empty mark never comes`() {
    let result = passed(["a", "b"], mark: "")
    #expect(result.pieces == ["a", "b", ""])
    #expect(!result.isFound)
  }
}
