import Graft
import GraftCore
import Testing

@Suite struct `SHA-256` {
  private func hash(_ bytes: [UInt8], pieces: [Int] = []) -> String {
    var hash = SHA256()
    var start = 0
    for count in pieces {
      Array(bytes[start..<start + count]).withRawBytes { hash.combine($0) }
      start += count
    }
    Array(bytes[start...]).withRawBytes { hash.combine($0) }
    return hash.text
  }

  /// The examples of FIPS 180-4 and of NIST's CAVP, and two of Python's hashlib around a block's end.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func `equals the published examples`(text: String, expected: String) {
    #expect(hash(Array(text.utf8)) == expected)
  }

  @Test func `of a million letters is the published one`() {
    #expect(
      hash([UInt8](repeating: 0x61, count: 1_000_000))
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test(arguments: [[1], [63], [64], [65], [55, 1, 8], [64, 64], [10, 20, 30, 40]])
  func `doesn't depend on the pieces`(pieces: [Int]) {
    let bytes = (0..<200).map { UInt8($0) }
    #expect(hash(bytes, pieces: pieces) == hash(bytes))
  }
}
