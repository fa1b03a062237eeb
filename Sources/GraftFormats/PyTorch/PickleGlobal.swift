/// The classes and functions that a checkpoint may name.
///
/// None is ever called: each has a meaning here, and only that.
enum PickleGlobal: Equatable {
  case orderedDictionary
  case tensorClass
  case parameterClass
  case size
  case device
  case layout
  case encode
  case set
  case bytes
  case complex
  case rebuildTensor
  case rebuildTensorV2
  case rebuildTensorV3
  case rebuildParameter
  case rebuildFromType
  /// A tensor of a kind that isn't read: its name.
  case rebuildOther(String)
  case storage(TorchType)
  case element(TorchType)
  /// A value without a meaning here.
  case constant

  /// The list, by module and name.
  static let allowed: [String: PickleGlobal] = {
    var table: [String: PickleGlobal] = [
      "collections OrderedDict": .orderedDictionary,
      "torch Tensor": .tensorClass,
      "torch._tensor Tensor": .tensorClass,
      "torch.nn.parameter Parameter": .parameterClass,
      "torch Size": .size,
      "torch device": .device,
      "torch.serialization _get_layout": .layout,
      "_codecs encode": .encode,
      "builtins set": .set,
      "__builtin__ set": .set,
      "builtins bytearray": .bytes,
      "__builtin__ bytearray": .bytes,
      "builtins complex": .complex,
      "__builtin__ complex": .complex,
      "torch._utils _rebuild_tensor": .rebuildTensor,
      "torch._utils _rebuild_tensor_v2": .rebuildTensorV2,
      "torch._utils _rebuild_tensor_v3": .rebuildTensorV3,
      "torch._utils _rebuild_parameter": .rebuildParameter,
      "torch._utils _rebuild_parameter_with_state": .rebuildParameter,
      "torch._tensor _rebuild_from_type_v2": .rebuildFromType,
      "torch._utils _rebuild_sparse_tensor": .rebuildOther("a sparse tensor"),
      "torch._utils _rebuild_sparse_csr_tensor": .rebuildOther("a sparse tensor"),
      "torch._utils _rebuild_qtensor": .rebuildOther("a quantized tensor"),
      "torch._utils _rebuild_nested_tensor": .rebuildOther("a nested tensor"),
      "torch._utils _rebuild_meta_tensor_no_storage": .rebuildOther("a tensor without data"),
      "torch._utils _rebuild_wrapper_subclass": .rebuildOther("a tensor of another class"),
      "torch.storage UntypedStorage": .storage(.untyped),
      "torch.storage _UntypedStorage": .storage(.untyped),
      "torch UntypedStorage": .storage(.untyped),
    ]
    for scheme in [
      "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric",
      "per_channel_affine_float_qparams",
    ] {
      table["torch " + scheme] = .constant
    }
    for type in TorchType.allCases {
      if type != .untyped { table["torch " + type.rawValue] = .element(type) }
      guard let name = type.storageName else { continue }
      table["torch " + name] = .storage(type)
      table["torch.cuda " + name] = .storage(type)
    }
    return table
  }()
}
