import Graft
import Testing

@Suite struct `The variables of the environment` {
  @Test(arguments: [nil, "scalar", "avx2", "avx512", "avx512BF16"] as [String?])
  func `are right where they are left out or have a value of their own`(value: String?) {
    #expect(EnvironmentError(instructions: value) == nil)
  }

  @Test(arguments: ["sse", "AVX2", "avx2 "])
  func `are an error with any other`(value: String) throws {
    let error = try #require(EnvironmentError(instructions: value))
    #expect(error.variable == "GRAFT_SIMD")
    #expect(error.found == value)
    #expect(error.expected == ["scalar", "avx2", "avx512", "avx512BF16"])
    #expect(error.diagnosis.kind == .usage)
  }

  @Test func `are checked where somebody asks`() throws {
    // Only the command's tests change them, for processes of their own.
    try checkEnvironment()
  }
}
