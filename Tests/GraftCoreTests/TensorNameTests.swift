import GraftCore
import Testing

@Suite struct `Names in messages` {
  @Test(
    arguments: [
      "\u{0}", "\u{1B}", "\n", "\u{7F}", "\u{85}", "\u{AD}", "\u{61C}", "\u{200B}", "\u{200D}",
      "\u{200F}", "\u{2028}", "\u{2029}", "\u{202E}", "\u{2060}", "\u{2066}", "\u{2069}",
      "\u{FEFF}", "\u{E0041}",
    ] as [Unicode.Scalar])
  func `show what has an effect and no place of its own`(scalar: Unicode.Scalar) {
    let name = "a" + String(Character(scalar)) + "b"
    let shown = "a\\u{" + String(scalar.value, radix: 16) + "}b"
    #expect(name.escapedShortened == shown)
    #expect(name.escapedWhole == shown)
    #expect(TensorName(name).description == shown)
    #expect(shown.escapedShortened == shown)
  }

  @Test(arguments: ["model.layers.0.weight", "Ġlord", "é 日本語 😀", ""])
  func `show everything else as it is`(name: String) {
    #expect(name.escapedShortened == name)
  }

  @Test func `lose their middle where they are longer than anyone reads`() {
    let long = "begin" + String(repeating: "\u{E9}", count: 100_000) + "end"
    let shown = TensorName(long).description
    #expect(shown.unicodeScalars.count == 200)
    #expect(shown.hasPrefix("begin\u{E9}") && shown.contains("…") && shown.hasSuffix("\u{E9}end"))
    #expect(shown.escapedShortened == shown)
    #expect(long.escapedWhole == long)
    let whole = String(long.prefix(200))
    #expect(whole.escapedShortened == whole)
    let error = StorageError(.notFound, file: "model.h5", tensor: TensorName(long))
    #expect(error.description.unicodeScalars.count < 300)
    // A path can be copied from a message.
    let path = String(repeating: "folder/", count: 100)
    #expect(StorageError(.notFound, file: path).diagnosis.location == path)
  }
}
