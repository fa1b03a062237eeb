import GraftAdapters
import GraftCore
import TestSupport
import Testing

struct ModulePatternTests {
  @Test func `whole texts match as in Python's re`() throws {
    let golden = try Repository.goldenJSON("adapters/patterns.json")
    let texts = try #require(golden["texts"]?.array).compactMap(\.string)
    for row in try #require(golden["cases"]?.array) {
      let text = try #require(row["pattern"]?.string)
      let pattern = try ModulePattern(text)
      let expected = try #require(row["matches"]?.array).compactMap(\.bool)
      for (text, matches) in zip(texts, expected) {
        #expect(pattern.matches(text) == matches, "\(pattern.text) on \(text)")
      }
    }
  }

  @Test(arguments: [
    ("(", "a missing parenthesis", 1), (")", "unbalanced parenthesis", 0),
    ("a**", "nothing to repeat", 2), ("*", "nothing to repeat", 0),
    ("[a", "a missing bracket", 2), ("[b-a]", "a malformed range", 2),
    ("a{2,1}", "a repetition from more to less", 6), ("a{1001}", "a repetition above 1000", 7),
    ("(?<=a)b", "look-behind isn't supported", 4), ("\\1", "this escape isn't supported", 1),
    ("\\", "a backslash at the end", 1), ("(?i)a", "this kind of group isn't supported", 1),
  ])
  func `a malformed expression is refused where it breaks`(
    pattern: String, problem: String, position: Int
  ) {
    #expect(
      throws: AdapterError(
        .invalidPattern(pattern: pattern, position: position, problem: problem))
    ) { try ModulePattern(pattern) }
  }

  @Test(arguments: ["((a{1000}){1000}){1000}", "((((){1000}){1000}){1000})"])
  func `repetitions that multiply are refused`(pattern: String) {
    #expect(
      throws: AdapterError(
        .invalidPattern(pattern: pattern, position: 0, problem: "its repetitions are too many"))
    ) { try ModulePattern(pattern) }
  }

  @Test func `groups nested deeper than the limit are refused`() {
    let pattern = String(repeating: "(", count: 200) + String(repeating: ")", count: 200)
    #expect(throws: AdapterError.self) { try ModulePattern(pattern) }
  }

  @Test func `an expression that hangs backtracking engines is decided at once`() throws {
    let pattern = try ModulePattern("(a+)+(a*)*(a|aa)*b")
    let elapsed = ContinuousClock().measure {
      #expect(!pattern.matches(String(repeating: "a", count: 2000)))
    }
    #expect(elapsed < .seconds(2))
  }

  @Test func `look-aheads in look-aheads are tried once at each place`() throws {
    let pattern = try ModulePattern(
      String(repeating: "(?=.*", count: 20) + "x" + String(repeating: ")", count: 20))
    let elapsed = ContinuousClock().measure {
      #expect(!pattern.matches("model.layers.11.self_attn.q_proj.lora_A"))
    }
    #expect(elapsed < .seconds(2))
    #expect(try ModulePattern("(?=.*(?=.*b)a).*").matches("cab"))
    #expect(throws: AdapterError.self) { try ModulePattern("(?:(?=a{1000}){1000}){1000}") }
  }
}
