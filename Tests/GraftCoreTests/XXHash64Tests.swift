import GraftCore
import Testing

struct XXHash64Tests {
  /// The test data of xxHash: `XSUM_fillTestBuffer` in `cli/xsum_sanity_check.c`.
  private static let bytes: [UInt8] = {
    var state: UInt64 = 2_654_435_761
    return (0..<4160).map { _ in
      defer { state &*= 11_400_714_785_074_694_797 }
      return UInt8(state >> 56)
    }
  }()

  /// `XSUM_XXH64_testdata` in `tests/sanity_test_vectors.h` of xxHash, seed 0.
  private static let vectors: [(Int, UInt64)] = [
    (0, 0xEF46_DB37_51D8_E999), (1, 0xE934_A84A_DB05_2768), (2, 0x5D48_CD60_A77E_23FF),
    (3, 0xFF7E_1959_CB50_794A), (4, 0x9136_A0DC_A574_57EE), (8, 0xCDBC_F538_E71D_1348),
    (9, 0x554B_1AE9_91ED_A6B6), (14, 0x8282_DCC4_994E_35C8), (16, 0x98C9_0B57_FDFC_B55C),
    (17, 0x0D39_A2D0_51A3_0C2C), (31, 0x299B_39A2_90E6_D783), (32, 0x18B2_1649_2BB4_4B70),
    (33, 0x55C8_DC3E_578F_5B59), (64, 0xEF55_8F8A_CAC2_B5CD), (128, 0x90CA_0214_57D9_6DC5),
    (129, 0x41C2_8013_2D69_7ABA), (222, 0xB641_AE8C_B691_C174), (240, 0xB818_38D4_83BA_EE53),
    (403, 0xD998_58FE_E822_83DF), (512, 0x4358_D2FD_D62B_58A7), (2048, 0x5940_F275_2BC0_4387),
    (4160, 0xEEE6_A4E2_AC95_2A5E),
  ]

  @Test(arguments: vectors)
  func `the hash is that of xxHash, however the bytes are divided`(length: Int, expected: UInt64) {
    let bytes = Array(Self.bytes[..<length])
    for step in [1, 7, 31, 32, 33, 100, 4160] {
      var hash = XXHash64()
      for start in stride(from: 0, to: length, by: step) {
        hash.combine(Array(bytes[start..<min(start + step, length)]))
      }
      #expect(hash.value == expected, "pieces of \(step)")
    }
  }

  @Test func `the text has all digits`() {
    // 0x0D39… of 17 bytes begins with a zero.
    var hash = XXHash64()
    hash.combine(Array(Self.bytes[..<17]))
    #expect(hash.text == "0d39a2d051a30c2c")
  }
}
