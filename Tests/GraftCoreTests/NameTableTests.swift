import GraftCore
import Testing

@Suite struct `Tables of names` {
  @Test func `find every name that was added, and no other`() throws {
    let names = (0..<5_000).map { TensorName("name\($0)") }
    var table = NameTable()
    for (position, name) in names.enumerated() {
      table.add(NameTable.hash(name.utf8), at: position)
    }
    #expect(table.count == 5_000)
    for (position, name) in names.enumerated() {
      let found = table.position(NameTable.hash(name.utf8)) { names[$0] == name }
      #expect(found == position)
    }
    let other: TensorName = "name5000"
    let found = table.position(NameTable.hash(other.utf8)) { names[$0] == other }
    #expect(found == nil)
  }

  @Test func `tell names of one hash apart`() {
    let names: [TensorName] = ["a", "b", "c"]
    var table = NameTable()
    for position in names.indices { table.add(7, at: position) }
    for (position, name) in names.enumerated() {
      let found = table.position(7) { names[$0] == name }
      #expect(found == position)
    }
    let found = table.position(7) { names[$0] == "d" }
    #expect(found == nil)
  }

  @Test func `names that have to differ are told by their bytes`() throws {
    var names = DistinctNames()
    let spellings = ["é", "e\u{301}", "", "é"] as [TensorName]
    let areNew = spellings.map { names.insert($0) }
    #expect(areNew == [true, true, true, false])
    let areOthersNew = (0..<1000).map { names.insert(TensorName("n\($0)")) }
    #expect(areOthersNew.allSatisfy { $0 })
    let isNew = names.insert("n500")
    #expect(!isNew)
    #expect(names.count == 1003)
  }

  @Test func `a name that occurs twice is said in the same words everywhere`() throws {
    let read = StorageError.repeated("a\n", rule: "gguf G-6", file: "f", offset: 7)
    #expect(read.diagnosis.summary == "malformed file (gguf G-6)")
    #expect(
      read.diagnosis.location == "f, byte 7, expected each name once, found 'a\\u{a}' again")
    let tensors = #expect(throws: StorageError.self) {
      try (["a", "b", "a"] as [TensorName]).checkDiffer(
        inFormat: "GGUF", rule: "gguf G-12", file: "f")
    }
    #expect(tensors?.diagnosis.summary == "GGUF can't hold two tensors of one name (gguf G-12)")
    #expect(tensors?.tensor == "a")
    let members = #expect(throws: StorageError.self) {
      try (["a", "a"] as [TensorName]).checkDiffer("members", inFormat: "zip", file: "f")
    }
    #expect(members?.diagnosis.summary == "zip can't hold two members of one name, 'a'")
  }

  @Test func `find tensors by name, few and many`() throws {
    let tensors = try ["x", "y", "x"].map {
      try TensorInfo(name: TensorName($0), dtype: .u8, shape: [])
    }
    for count in [1, 100] {
      let lookup = TensorLookup(tensors, for: count)
      #expect(lookup.position(of: "x") == 0)
      #expect(lookup.position(of: "y") == 1)
      #expect(lookup.position(of: "z") == nil)
    }
  }

  @Test func `keys that stand for the same bytes are one`() throws {
    var scanner = JSONScanner(
      Array(#"{"a":1,"\u0061":2,"b":3,"\u0062":4,"c\n":5,"c\u000A":6}"#.utf8), file: "")
    var keys = JSONKeySet()
    var isNew: [Bool] = []
    while true {
      let token = try scanner.next()
      guard token.kind != .end else { break }
      if token.kind == .key { isNew.append(keys.insert(token, of: scanner)) }
    }
    #expect(isNew == [true, false, true, false, true, false])
    #expect((0..<keys.count).map { scanner.text(of: keys[$0]) } == ["a", "b", "c\n"])
  }
}
