import GraftCore
import GraftFormats
import TestSupport
import Testing

struct DecimalFloatTests {
  static func parse(_ text: String) -> Float? {
    let bytes = Array(text.utf8)
    return DecimalFloat.parse(bytes.span, bytes.indices)
  }

  @Test func `rounds as exact arithmetic does`() throws {
    let rows = try JSONValue.parse(
      Repository.bytes("Fixtures/golden/word-vectors/decimals.json"), file: "decimals.json")
    for row in try #require(rows.array) {
      let text = try #require(row[0]?.string)
      #expect(Self.parse(text)?.bitPattern == row[1]?.int.map { UInt32($0) }, "\(text)")
    }
    #expect(rows.array?.count == 1221)
  }

  @Test(arguments: [
    "", "+", "-", ".", "e1", "1e", "1e+", "1e1.5", "nan", "inf", "0x1", " 1", "1 ", "1,5", "١",
  ])
  func `refuses what is no decimal number`(text: String) {
    #expect(Self.parse(text) == nil)
  }

  @Test func `every float survives its shortest spelling`() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<100_000 {
      let value = Float(bitPattern: UInt32.random(in: .min ... .max, using: &random))
      guard value.isFinite else { continue }
      #expect(Self.parse(value.description)?.bitPattern == value.bitPattern)
    }
  }
}
