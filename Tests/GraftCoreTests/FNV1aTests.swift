import GraftCore
import Testing

struct FNV1aTests {
  /// Test vectors of the algorithm's authors (http://www.isthe.com/chongo/src/fnv/test_fnv.c).
  @Test(
    arguments: [
      ("", 0xCBF2_9CE4_8422_2325), ("a", 0xAF63_DC4C_8601_EC8C), ("foobar", 0x8594_4171_F739_67E8),
    ] as [(String, UInt64)])
  func `hashes are those of the algorithm's authors`(text: String, hash: UInt64) {
    #expect(FNV1a(text.utf8).value == hash)
    var piecewise = FNV1a()
    for byte in text.utf8 { piecewise.combine(byte) }
    #expect(piecewise.value == hash)
  }
}
