import Foundation
import GraftCore
import TestSupport
import Testing

@Suite struct `Errors of the command` {
  private let scratch = TemporaryFolder()

  private func expect(
    _ outcome: Graft.Outcome, status: Int32, error: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(outcome.status == status, sourceLocation: sourceLocation)
    #expect(outcome.output == "", sourceLocation: sourceLocation)
    #expect(outcome.error == error, sourceLocation: sourceLocation)
  }

  @Test(arguments: ["inspect", "verify"])
  func `a missing file is 4`(verb: String) throws {
    expect(
      try Graft.run(verb, "nowhere"), status: 4,
      error: "error: no such file or directory\n  nowhere\n")
  }

  @Test func `wrong usage is 2`() throws {
    expect(
      try Graft.run("convert", "model"), status: 2,
      error: """
        error: Missing expected argument '<target>'
          Usage: \(try usage("convert"))
          see graft --help

        """)
  }

  @Test(arguments: [
    "inspect \"$(printf 'c\\377')\"", "convert model \"$(printf 'c\\377')\"",
    "inspect model \"--js$(printf '\\377')n\"",
  ])
  func `an argument that isn't UTF-8 is 2, and nothing is read or written`(
    arguments: String
  ) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = [
      "-c", "\"$0\" \(arguments) 2> error", try #require(Graft.executable).path,
    ]
    process.currentDirectoryURL = scratch.folder
    process.standardInput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 2)
    let error = try String(contentsOf: scratch.url("error"), encoding: .utf8)
    #expect(error.hasPrefix("error: The argument '"))
    #expect(error.contains("isn't UTF-8"))
    #expect(error.split(separator: "\n").count == 3)
    #expect(try scratch.names(in: scratch.path) == ["error"])
  }

  /// The usage line of a verb, as its help has it.
  private func usage(_ verb: String) throws -> String {
    let help = try Graft.run(verb, "--help")
    #expect(help.status == 0)
    let line = help.output.split(separator: "\n").first { $0.hasPrefix("USAGE: ") }
    return String(line?.dropFirst(7) ?? "")
  }

  @Test(arguments: [
    ["diff", "model", "model", "--tolerance", "-1"], ["merge", "model", "--out", "x"],
    ["convert", "model", "x", "--dtype", "int3"],
    ["convert", "model", "x", "--max-shard-size", "0"],
    ["convert", "model", "x", "--max-shard-size", "-5MB"],
    ["convert", "model", "x", "--compress", "zstd"],
    ["convert", "model", "x.h5", "--compress", "zstd:99"],
    ["convert", "model", "x.h5", "--max-shard-size", "1GB"], ["polish", "model"],
  ])
  func `options that make no sense are 2, in three lines`(arguments: [String]) throws {
    let outcome = try run(arguments)
    #expect(outcome.status == 2)
    #expect(outcome.output == "")
    #expect(outcome.error.hasPrefix("error: "))
    #expect(outcome.error.split(separator: "\n").count <= 3)
    #expect(!FileManager.default.fileExists(atPath: Graft.fixtures.appending(path: "x").path))
  }

  @Test(arguments: ["-5MB", "0", "5XB", "nan"])
  func `a size that is none is 2, and named`(size: String) throws {
    expect(
      try Graft.run("convert", "model", "x", "--max-shard-size", size), status: 2,
      error: """
        error: The value '\(size)' is invalid for '--max-shard-size <max-shard-size>'; it takes \
        a size above 0 such as 500MiB or 5GB
          Usage: \(try usage("convert"))
          see graft --help

        """)
  }

  @Test(arguments: [
    (["inspekt", "model"], "inspekt", "did you mean inspect?"),
    (["plan", "trein", "model"], "trein", "did you mean train?"),
    (["--", "x"], nil, nil),
    (
      ["polish"], "polish",
      "there are inspect, verify, diff, convert, warm-start, train, report, evaluate, generate, "
        + "embed, merge, plan"
    ),
  ])
  func `an unknown verb is called so, with the nearest`(
    call: [String], verb: String?, help: String?
  ) throws {
    let outcome = try Graft.run(call)
    #expect(outcome.status == 2)
    #expect(outcome.output == "")
    if let verb, let help {
      #expect(
        outcome.error == "error: unknown verb '\(verb)'\n  \(help)\n  see graft --help\n")
    }
  }

  @Test func `levels of compression that there aren't are 2, with those that there are`() throws {
    for value in ["zstd:99", "zstd:", "gzip"] {
      expect(
        try Graft.run("convert", "model", "x.h5", "--compress", value), status: 2,
        error: """
          error: The value '\(value)' is invalid for '--compress <compress>'; it takes none, zstd, \
          or zstd:LEVEL with a level from 1 to 22
            Usage: \(try usage("convert"))
            see graft --help

          """)
    }
  }

  @Test(arguments: [
    ("--steps", "-1"), ("--learning-rate", "-1e-3"), ("--rank", "-8"), ("--clip-norm", "-.5"),
  ])
  func `a negative number is a value, which the option refuses`(
    option: String, value: String
  ) throws {
    let outcome = try Graft.run(
      "train", "model", "--data", "text/gospels.txt", "--out", scratch("out"), option, value)
    #expect(outcome.status == 2)
    #expect(!outcome.error.contains("Missing value"))
    #expect(outcome.error.contains(option.dropFirst(2)), "\(outcome.error)")
    #expect(outcome.error.split(separator: "\n").count <= 3)
    #expect(scratch.names.isEmpty)
  }

  @Test func `an empty prompt is 2 where nothing stands before it`() throws {
    expect(
      try Graft.run("generate", "model", "--prompt", ""), status: 2,
      error: """
        error: --prompt has no text
          the tokenizer of this model puts no token before one that could be gone on from
          see graft --help

        """)
  }

  @Test(arguments: ["new\nline", "tab\there", #"back\slash"#, "co:lon"])
  func `a file name that isn't safe everywhere is refused with what is wrong in it`(
    name: String
  ) throws {
    try FileManager.default.copyItem(
      at: Graft.fixtures.appending(path: "model"), to: scratch.url("source"))
    try Data("x".utf8).write(to: scratch.url("source/" + name))
    for target in ["target", "target.h5"] {
      let outcome = try Graft.run("convert", scratch("source"), scratch(target), "--quiet")
      #expect(outcome.status == 3)
      #expect(
        outcome.error.hasPrefix(
          "error: refused: a file name with a backslash, a colon or a control character\n"),
        "\(outcome.error)")
      #expect(outcome.error.contains("\n  rename the file: "))
    }
    #expect(scratch.names == ["source"])
  }

  @Test func `a line that evaluate can't use is one of the data`() throws {
    try Data(#"{"nothing": 1}"#.utf8).write(to: scratch.url("lines.jsonl"))
    let outcome = try Graft.run("evaluate", "model", "--data", scratch("lines.jsonl"))
    #expect(outcome.status == 3)
    #expect(outcome.error.hasPrefix("error: a line of the data can't be used\n"))
  }

  @Test func `what would act on a terminal is shown`() throws {
    let (name, shown) = ("a\u{1B}[31mb\u{202E}c\u{200B}", "a\\u{1b}[31mb\\u{202e}c\\u{200b}")
    let (path, shownPath) = (scratch.folder.path + "/" + name, scratch.folder.path + "/" + shown)
    let written = try Graft.run("convert", "model", path + ".h5", "--quiet")
    #expect(written.output == "\(shownPath).h5: 56 tensors, 2.6 MiB\n")
    let unknown = try Graft.run("convert", "model", path + ".onnx", "--quiet")
    #expect(unknown.status == 2)
    #expect(unknown.error.hasPrefix("error: '\(shownPath).onnx': no format is written to .onnx; "))
    let usage = try Graft.run("convert", "model", path, "--dtype", name)
    #expect(usage.status == 2)
    #expect(usage.error.hasPrefix("error: The value '\(shown)' is invalid"))
    let strange = try Graft.run("convert", "model", path, "--" + name)
    #expect(strange.error.hasPrefix("error: Unknown option '--\(shown)'"))
  }

  @Test func `a name that ends with a slash is a directory's`() throws {
    for suffix in [".h5", ".safetensors", ".gguf"] {
      let path = scratch("x") + suffix + "/"
      expect(
        try Graft.run("convert", "model", path, "--quiet"), status: 3,
        error: """
          error: unsupported format to write
            \(path), found \(suffix)
            leave out the slash, or give the directory another name

          """)
    }
    let path = scratch("x") + "/"
    expect(
      try Graft.run("convert", "model", path, "--to", "hdf5", "--quiet"), status: 4,
      error: """
        error: expected a regular file, found the name of a directory
          \(path)
          leave out the slash at its end

        """)
    #expect(scratch.names.isEmpty)
    #expect(try Graft.run("convert", "model", path, "--quiet").status == 0)
    #expect(scratch.names == ["x"])
  }

  @Test(arguments: [
    ["inspect"], ["verify"], ["convert", "out"], ["diff", "model"], ["generate", "--prompt", "x"],
  ])
  func `a slash behind the name of a file that is read is told`(call: [String]) throws {
    let path = scratch("x.h5")
    let made = try Graft.run(
      "convert", "golden/lora/llama-tied/adapter_model.safetensors", path, "--quiet")
    #expect(made.status == 0, "\(made.error)")
    expect(
      try Graft.run([call[0], path + "/"] + call.dropFirst()), status: 4,
      error: """
        error: expected a regular file, found the name of a directory
          \(path)/
          leave out the slash at its end

        """)
    #expect(scratch.names == ["x.h5"])
  }

  @Test func `an adapter in shards, which PEFT wouldn't load, is 3`() throws {
    let source = "golden/lora/llama-tied"
    let outcome = try Graft.run(
      "convert", source, scratch("out"), "--max-shard-size", "6KiB", "--quiet")
    expect(
      outcome, status: 3,
      error: """
        error: unsupported sharding of an adapter
          \(source), found a limit that makes 2 files of it
          PEFT reads an adapter from one file: leave --max-shard-size out

        """)
    #expect(scratch.names.isEmpty)
  }

  private func run(_ arguments: [String]) throws -> Graft.Outcome {
    switch arguments.count {
    case 2: try Graft.run(arguments[0], arguments[1])
    case 4: try Graft.run(arguments[0], arguments[1], arguments[2], arguments[3])
    default:
      try Graft.run(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4])
    }
  }

  @Test(arguments: [
    ["--dropout", "1"], ["--dropout=-0.1"], ["--dropout", "-0.1"], ["--dropout", "nan"],
    ["--dropout", "inf"], ["--dropout", "half"], ["--dropout", "0.1", "--full"],
  ])
  func `a dropout that makes no sense is 2, in three lines`(options: [String]) throws {
    let verbs = [["train"], ["plan", "train"]]
    for verb in verbs {
      let outcome = try Graft.run(
        verb + ["model", "--data", "text/gospels.txt", "--out", scratch("out")] + options)
      #expect(outcome.status == 2)
      #expect(outcome.output == "")
      #expect(outcome.error.hasPrefix("error: "))
      #expect(outcome.error.contains("dropout"))
      #expect(outcome.error.split(separator: "\n").count <= 3)
      #expect(scratch.names.isEmpty)
    }
  }

  @Test(
    arguments: [
      (["merge", "model", "model", "--out"], "model, expected an adapter, found a model"),
      (
        ["merge", "golden/lora/llama-tied", "model", "--out"],
        "golden/lora/llama-tied, expected a model as the base, found an adapter"
      ),
      (
        ["evaluate", "model", "--data", "text/gospels.txt", "--adapter", "model"],
        "model, expected an adapter, found a model"
      ),
      (
        ["evaluate", "golden/lora/llama-tied", "--data", "text/gospels.txt"],
        "golden/lora/llama-tied, expected a model, found an adapter"
      ),
    ])
  func `a checkpoint of another kind than is asked for is 3, and called what it is`(
    arguments: [String], place: String
  ) throws {
    let outcome = try Graft.run(
      arguments.last == "--out" ? arguments + [scratch("out")] : arguments)
    #expect(outcome.status == 3)
    #expect(outcome.output == "")
    #expect(
      outcome.error.hasPrefix(
        "error: the kind of the checkpoint doesn't match\n  \(place)\n"))
    #expect(outcome.error.split(separator: "\n").count <= 3)
    #expect(scratch.names.isEmpty)
  }

  @Test(arguments: [
    ["convert", "vectors.safetensors", "x.vec"],
    ["evaluate", "vectors.safetensors", "--data", "t"],
  ])
  func `a file of tensors has no files inside`(arguments: [String]) throws {
    let header = Array(#"{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}} "#.utf8)
    try Data(
      [UInt8(header.count), 0, 0, 0, 0, 0, 0, 0] + header + [UInt8](repeating: 0, count: 16)
    )
    .write(to: scratch.url("vectors.safetensors"))
    let outcome = try Graft.run(arguments, in: scratch.folder)
    #expect(outcome.status == 3)
    #expect(outcome.error.contains("vectors.safetensors, expected a "), "\(outcome.error)")
    #expect(scratch.names == ["vectors.safetensors"])
  }

  @Test(arguments: ["-1", "0-", "1,-3", "--1", "1,,2", "3-1", "1-2-3", "a", "0x1", "+1"])
  func `layers that are no numbers and ranges are 2`(layers: String) throws {
    let outcome = try Graft.run(
      "train", "model", "--data", "text/gospels.txt", "--out", scratch("out"), "--layers=\(layers)")
    #expect(outcome.status == 2)
    #expect(outcome.error.hasPrefix("error: --layers takes numbers and ranges such as 0,1,8-11"))
    #expect(outcome.error.contains("in '\(layers)'\n"))
    #expect(scratch.names.isEmpty)
  }

  @Test(arguments: [("99", "99"), ("5-99", "6 in 5-99"), ("0,6", "6 in 0,6")])
  func `layers that the model lacks are 2`(layers: String, found: String) throws {
    expect(
      try Graft.run(
        "train", "model", "--data", "text/gospels.txt", "--out", scratch("out"), "--layers", layers),
      status: 2,
      error: """
        error: layers is out of range
          expected 0 to 5, which the model has, found \(found)

        """)
    #expect(scratch.names.isEmpty)
  }

  @Test func `a value that an option doesn't take is 2, with those that it takes`() throws {
    expect(
      try Graft.run(
        "train", "model", "--data", "text/gospels.txt", "--out", scratch("out"), "--schedule", "foo"
      ),
      status: 2,
      error: """
        error: The value 'foo' is invalid for '--schedule <schedule>'; it takes cosine, linear, \
        constant, polynomial, wsd, cosine-restarts, inverse-sqrt
          Usage: \(try usage("train"))
          see graft --help

        """)
  }

  @Test(arguments: ["sse", "AVX2", "avx2 "])
  func `a set of instructions that there isn't is 2, but help is given`(name: String) throws {
    let environment = ["GRAFT_SIMD": name]
    expect(
      try Graft.run(["inspect", "model"], environment: environment), status: 2,
      error: """
        error: GRAFT_SIMD has an unusable value
          expected scalar, avx2, avx512, avx512BF16, found \(name)
          leave the variable out for the best that the CPU has

        """)
    #expect(try Graft.run(["--help"], environment: environment).status == 0)
  }

  @Test(arguments: ["", "scalar", "avx2", "avx512", "avx512BF16"])
  func `every set of instructions may be named, whatever the CPU has`(name: String) throws {
    let outcome = try Graft.run(
      ["verify", "model", "--quiet"], environment: ["GRAFT_SIMD": name])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.error == "")
  }

  @Test(arguments: [
    ["--target-modules", "q_proj", "--train-modules", "q_proj"],
    ["--target-modules", "q_proj", "--freeze", "layers"],
    ["--target-modules", "q_proj", "--freeze", "q_proj", "v_proj"],
  ])
  func `targets that other options take are 2, and so named`(options: [String]) throws {
    expect(
      try Graft.run(
        ["train", "model", "--data", "text/gospels.txt", "--out", scratch("out")] + options),
      status: 2,
      error: """
        error: target-modules is out of range
          expected modules that --freeze and --train-modules leave, found q_proj
          a module has an update, is trained whole, or stays as it is

        """)
    #expect(scratch.names.isEmpty)
  }

  @Test(arguments: [
    (["--full", "--lora-plus-ratio", "2"], "--full trains without an adapter: --lora-plus-ratio"),
    (["--evaluate-every", "1"], "evaluate-every is out of range"),
  ])
  func `options without a meaning are 2`(options: [String], error: String) throws {
    let outcome = try Graft.run(
      ["train", "model", "--data", "text/gospels.txt", "--out", scratch("out")] + options)
    #expect(outcome.status == 2)
    #expect(outcome.error.hasPrefix("error: " + error))
    #expect(scratch.names.isEmpty)
  }

  @Test(arguments: ["adapter:nan", "adapter:inf", "adapter:-inf", ":0.5"])
  func `a weight that isn't finite, or without an adapter, is 2`(argument: String) throws {
    let outcome = try Graft.run("merge", "nowhere", argument, "--out", scratch("out"))
    #expect(outcome.status == 2)
    #expect(outcome.output == "")
    #expect(
      outcome.error.hasPrefix(
        "error: '\(argument)' is no ADAPTER:WEIGHT with a finite weight\n"))
    #expect(outcome.error.contains("\n  Usage: graft merge "))
    #expect(outcome.error.split(separator: "\n").count <= 3)
    #expect(scratch.names.isEmpty)
  }

  @Test(arguments: [
    ["convert", "model"],
    ["merge", "golden/families/llama-tied", "golden/lora/llama-tied", "--out"],
  ])
  func `a directory doesn't get a file's name`(call: [String]) throws {
    for (name, nearest) in Self.mistyped {
      let path = scratch(name)
      let outcome = try Graft.run(call + [path, "--quiet"])
      let suffix = name[(name.lastIndex(of: ".") ?? name.startIndex)...].lowercased()
      let hint = nearest.map { ", the nearest is \($0)" } ?? ""
      #expect(outcome.status == 2)
      #expect(
        outcome.error.hasPrefix(
          "error: '\(path)': no format is written to \(suffix)\(hint); "
            + "--to names the format of such a file, a slash at the end makes a directory\n"),
        "\(outcome.error)")
      #expect(outcome.error.split(separator: "\n").count == 3)
    }
    #expect(scratch.names.isEmpty)
  }

  private static let mistyped: [(name: String, nearest: String?)] = [
    ("c.onnx", nil), ("c.safetensor", ".safetensors"), ("c.SafeTensor", ".safetensors"),
    ("c.gguff", ".gguf"), ("c.hdf", ".hdf5"), ("c.kera", ".keras"), ("c.pkl", ".pt"),
    ("c.zip", nil), ("c.json", nil), ("c.tar.gz", nil), ("v.vec.gz", ".vec"),
  ]

  @Test(arguments: [
    "model-v1.5", "llama-3.2", "model.v5", "a.b", ".hidden", "model.big", "c.onnx/",
    "c.safetensor/",
  ])
  func `a directory may have a point in its name`(name: String) throws {
    let outcome = try Graft.run("convert", "model", scratch(name), "--quiet")
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(
      FileManager.default.fileExists(
        atPath: scratch(name.replacing("/", with: "") + "/model.safetensors")))
  }

  @Test(arguments: [
    ("safetensors", "a.h5"), ("safetensors", "a.zip"), ("safetensors", "a.gguf"),
    ("torch", "a.safetensors"), ("torch", "a.pkl"), ("hdf5", "a.safetensors"), ("hdf5", "a.gguf"),
    ("npz", "a.h5"), ("keras", "a.h5"), ("gguf", "a.safetensors"),
  ])
  func `--to counts and not the suffix`(form: String, name: String) throws {
    let source = scratch("source.safetensors")
    #expect(
      try Graft.run(
        "convert", "model", source, "--dtype", "f32", "--allow-loss", "--quiet"
      ).status == 0)
    let written = try Graft.run(
      ["convert", source, scratch(name), "--to", form, "--allow-loss", "--quiet"])
    #expect(written.status == 0, "\(written.error)")
    let found = try Graft.run("inspect", scratch(name), "--json")
    let json = try JSONValue.parse(Array(found.output.utf8), file: "inspect")
    let format = try #require(json["format"]?.string)
    let expected = [
      "safetensors": "safetensors", "torch": "PyTorch", "hdf5": "HDF5", "npz": "NumPy",
      "keras": "HDF5", "gguf": "GGUF",
    ]
    #expect(format.lowercased().contains(expected[form]?.lowercased() ?? "?"), "\(format)")
  }

  @Test(arguments: [
    ["generate", "--prompt", "x"], ["evaluate", "--data", "text/revelation.txt"],
    ["train", "--data", "text/gospels.txt", "--out", "never"], ["embed", "--text", "x"],
  ])
  func `GGUF is to be converted first`(call: [String]) throws {
    let path = "golden/gguf/qwen3.gguf"
    expect(
      try Graft.run([call[0], path] + call.dropFirst()), status: 3,
      error: """
        error: unsupported format to compute with
          \(path), found GGUF
          make a model directory of it first: graft convert \(path) DIR

        """)
  }

  @Test func `merge says that a base in GGUF is to be converted first`() throws {
    let path = "golden/gguf/qwen3.gguf"
    expect(
      try Graft.run("merge", path, "golden/lora/qwen3", "--out", scratch("out"), "--quiet"),
      status: 3,
      error: """
        error: unsupported base of adapters
          \(path), found GGUF
          a base is a model directory, or a file of another format: graft convert \(path) DIR

        """)
    #expect(scratch.names.isEmpty)
  }

  @Test func `embed refuses what it can't print in a line`() throws {
    try Data(Array("good\nb".utf8) + [0xFF, 0x0A]).write(to: scratch.url("bytes"))
    let bytes = try Graft.run("embed", "nowhere", "--data", scratch("bytes"))
    #expect(bytes.status == 3)
    #expect(bytes.error.contains("\n  \(scratch("bytes")), line 2, expected UTF-8,"))
    try Data(#"{"id": "a\tb", "text": "x"}"#.utf8).write(to: scratch.url("names"))
    let names = try Graft.run("embed", "nowhere", "--data", scratch("names"))
    #expect(names.status == 3)
    #expect(names.error.hasPrefix("error: a line of results can't hold the id "))
    #expect(try Graft.run("embed", "nowhere", "--data", scratch("names"), "--json").status == 4)
  }

  @Test func `a target in a directory that isn't there is 4, by the user's name`() throws {
    let base = "golden/families/llama-tied"
    let calls = [
      ["convert", base, "nowhere/out", "--quiet"], ["convert", base, "nowhere/out.h5", "--quiet"],
      ["convert", base, "nowhere/out.safetensors", "--allow-loss", "--quiet"],
      ["convert", base, "nowhere/out.gguf", "--allow-loss", "--quiet"],
      ["merge", base, "golden/lora/llama-tied", "--out", "nowhere/out", "--quiet"],
      ["train", "model", "--data", "text/gospels.txt", "--out", "nowhere/out", "--quiet"],
      [
        "train", "model", "--data", "text/gospels.txt", "--out", scratch("out"), "--report",
        "nowhere/out.html", "--quiet",
      ],
      [
        "warm-start", "model", "--vectors", "vectors/newtestament.bin", "--out", scratch("out"),
        "--report", "nowhere/out.json", "--quiet",
      ],
    ]
    for call in calls {
      let path = try #require(call.first { $0.hasPrefix("nowhere/") })
      expect(
        try Graft.run(call), status: 4,
        error: """
          error: no such file or directory
            \(path)
            there is no directory nowhere

          """)
      #expect(scratch.names.isEmpty)
    }
  }

  @Test func `a run that the disk has no room for is 4 before its first step`() throws {
    let outcome = try Graft.run(
      "train", "model", "--data", "text/gospels.txt", "--out", scratch("out"), "--batch-size", "1",
      "--sequence-length", "16", "--steps", "1000000000", "--save-every", "1", "--keep-last",
      "1000000000", "--quiet")
    #expect(outcome.status == 4)
    #expect(outcome.error.hasPrefix("error: not enough space: "))
    #expect(outcome.error.contains("\n  \(scratch("out"))\n"))
    #expect(scratch.names.isEmpty)
  }

  @Test func `something of no known format is 3`() throws {
    try Data("hello, world\n".utf8).write(to: scratch.url("text"))
    let path = scratch("text")
    expect(
      try Graft.run("inspect", path), status: 3,
      error: """
        error: the format isn't recognized
          \(path), expected safetensors, GGUF, HDF5, PyTorch, NumPy, a shard index or word vectors

        """)
  }

  @Test func `a FIFO is refused without waiting`() throws {
    let path = scratch("fifo")
    #expect(mkfifo(path, 0o600) == 0)
    expect(
      try Graft.run("inspect", path), status: 4,
      error: "error: expected a regular file, found a FIFO\n  \(path)\n")
  }

  @Test func `a target that is no file is refused before the work, and stays`() throws {
    let path = scratch("fifo")
    #expect(mkfifo(path, 0o600) == 0)
    try FileManager.default.createSymbolicLink(
      atPath: scratch("link.h5"), withDestinationPath: path)
    for (target, kind) in [(path, "a FIFO"), ("/dev/null", "a device")] {
      expect(
        try Graft.run("convert", "model", target, "--quiet"), status: 4,
        error: """
          error: the target exists already
            \(target)
            \(kind) stands there; name a directory that isn't there

          """)
      expect(
        try Graft.run("convert", "model", target, "--to", "hdf5", "--quiet"), status: 4,
        error: "error: expected a regular file, found \(kind)\n  \(target)\n")
    }
    expect(
      try Graft.run("convert", "model", scratch("link.h5"), "--quiet"), status: 4,
      error: "error: expected a regular file, found a FIFO\n  \(scratch("link.h5"))\n")
    #expect(scratch.names == ["fifo", "link.h5"])
  }

  @Test func `a directory where a file goes is 4`() throws {
    let path = scratch("target.h5")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    expect(
      try Graft.run("convert", "model", path, "--quiet"), status: 4,
      error: "error: expected a regular file, found a directory\n  \(path)\n")
    #expect(scratch.names == ["target.h5"])
  }

  @Test func `a target that can't be written is 4 and leaves nothing`() throws {
    let outcome = try Graft.run("convert", "model", "/proc/graft-out", "--quiet")
    #expect(outcome.status == 4)
    #expect(outcome.output == "")
    #expect(outcome.error.hasPrefix("error: "))
    #expect(outcome.error.split(separator: "\n").count <= 3)
  }

  @Test func `a truncated file is 3 for verbs that need it`() throws {
    let whole = try Data(
      contentsOf: Graft.fixtures.appending(path: "golden/merge/llama-tied/merged.safetensors"))
    try whole.dropLast(100).write(to: scratch.url("short.safetensors"))
    let outcome = try Graft.run(
      "convert", scratch("short.safetensors"), scratch("out"), "--quiet")
    #expect(outcome.status == 3)
    #expect(outcome.error.hasPrefix("error: the file ends inside its data (safetensors S-13)\n"))
    #expect(outcome.error.split(separator: "\n").count <= 3)
    #expect(scratch.names == ["short.safetensors"])
  }

  @Test func `an adapter of another base is 3 and names the tensor`() throws {
    let outcome = try Graft.run(
      "merge", "model", "golden/lora/llama-tied", "--out", scratch("out"), "--quiet")
    #expect(outcome.status == 3)
    #expect(outcome.output == "")
    #expect(outcome.error.hasPrefix("error: the adapter doesn't fit model.layers.0."))
    #expect(outcome.error.split(separator: "\n").count <= 3)
    #expect(scratch.names.isEmpty)
  }
}
