import Foundation
import FoundationXML
import Graft
import TestSupport
import Testing

@Suite struct `A page of an inspection` {
  private let workspace = TemporaryFolder()

  private func write(_ tensors: [(TensorName, [Float])], metadata: [MetadataEntry] = []) throws
    -> String
  {
    let infos = try tensors.map { name, values in
      try TensorInfo(name: name, dtype: .f32, shape: [values.count])
    }
    let path = workspace("w.safetensors")
    let file = try AtomicFile(path: path)
    let writer = try SafetensorsWriter(infos, metadata: metadata, to: file.output)
    for (index, info) in writer.tensors.enumerated() {
      let values = try #require(tensors.first { $0.0 == info.name }).1
      try writer.write(values, of: index, at: 0)
    }
    try writer.finish()
    try file.commit()
    return path
  }

  private func page(_ path: String, drawsValues: Bool = false) throws -> String {
    let page = try InspectionPage(of: OpenedCheckpoint(path: path), drawsValues: drawsValues)
    return String(decoding: page.html, as: UTF8.self)
  }

  /// The text between tags, without titles.
  private func words(_ html: String) -> [String] {
    html.replacing(/<style>[^\0]*?<\/style>|<title>.*?<\/title>/, with: "")
      .replacing(/<[^>]*>/, with: "\n").split(separator: "\n").map {
        $0.trimmingCharacters(in: .whitespaces)
      }.filter { !$0.isEmpty }
  }

  @Test func `is well formed, and asks nothing of a network`() throws {
    let html = try page(fixture("model"), drawsValues: true)
    #expect(html.hasPrefix("<!DOCTYPE html>\n"))
    let body = Data(html.dropFirst("<!DOCTYPE html>\n".count).utf8)
    let parser = XMLParser(data: body)
    #expect(parser.parse(), "\(String(describing: parser.parserError))")
    for word in ["http", "//", "src=", "@import", "url(", "<script"] {
      #expect(!html.contains(word), "\(word)")
    }
  }

  @Test func `escapes names and metadata`() throws {
    let path = try write(
      [("<script>alert('x')</script>", [1]), ("\u{202E}evil\u{0}", [2])],
      metadata: [MetadataEntry(key: "<b>\u{1B}[31m", value: "\"&\u{2066}")])
    let html = try page(path)
    #expect(!html.contains("<script"))
    #expect(!html.contains("\u{202E}"))
    #expect(!html.contains("\u{2066}"))
    #expect(!html.contains("\u{1B}"))
    #expect(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"))
    #expect(html.contains("\\u{202e}evil\\u{0}"))
    #expect(html.contains("&quot;&amp;\\u{2066}"))
  }

  @Test func `counts values exactly: extremes, mean, deviation, zeros, NaN and infinity`() throws {
    let path = try write([("w", [-1, 0, 3, .nan, .infinity, 2, -.infinity, 1])])
    let html = try page(path, drawsValues: true)
    // Of -1, 0, 3, 2, 1: mean 1, deviation √2.
    #expect(words(html).contains("-1 to 3, mean 1, σ 1.41, 1 zero, 1 NaN, 2 infinite"))
  }

  @Test func `draws the distribution, of folded layers together and of each`() throws {
    // A quarter in each of four places of equal distance: columns of one height, and nothing between.
    let values: [Float] = (0..<4000).map { Float($0 % 4) }
    let html = try page(
      write([("l.0.w", values), ("l.1.w", values)]), drawsValues: true)
    let drawings = html.matches(of: /<path d="([^"]*)"/).map { String($0.1) }
    #expect(drawings.count == 3)
    #expect(Set(drawings).count == 1)
    let heights = try #require(drawings.first).matches(of: /V([0-9.]+)H/).compactMap {
      Double($0.1)
    }
    #expect(heights.count == 48)
    #expect(heights.count { $0 < 24 } == 4)
    #expect(heights.count { $0 == 1 } == 4)
  }

  @Test func `shows folded names, all members, and no histograms where none are asked for`() throws
  {
    let shown = words(try page(fixture("model")))
    #expect(shown.contains("layers.{0…5}"))
    #expect(shown.contains("model.layers.3.mlp.up_proj.weight"))
    #expect(shown.contains("×56"))
    #expect(try !page(fixture("model")).contains("<path"))
  }

  @Test func `replaces a page, and nothing else`() throws {
    let page = try InspectionPage(of: OpenedCheckpoint(path: fixture("model")))
    let target = workspace("page.html")
    try page.write(to: target)
    try page.write(to: target)
    #expect(try Data(contentsOf: URL(filePath: target)) == Data(page.html))
    try "notes".write(toFile: target, atomically: true, encoding: .utf8)
    #expect(throws: StorageError.self) { try page.write(to: target) }
    #expect(try String(contentsOfFile: target, encoding: .utf8) == "notes")
  }
}
