"""The tables of a TFLite file, as TensorFlow Lite's ``schema.fbs`` (version 3) declares them, and of its metadata.

A field is ``name:kind``, or the kind alone where no one here reads it. Kinds: a number type of NumPy (``i4``) or a
number's bytes (``4``), ``str``, another table, ``[...]`` for a vector, ``<...>`` for a union, whose member the number
in the field before it chooses, ``-`` for one that is passed over.

The metadata are flatbuffers of their own, in a buffer of the file: those of ``metadata_schema.fbs`` (1.5), and inside
them MediaPipe's ``object_detector_metadata_schema.fbs`` (1.0).
"""

from collections.abc import Mapping

__all__ = [
    "IDENTIFIER",
    "METADATA_IDENTIFIER",
    "METADATA_ROOTS",
    "METADATA_TABLES",
    "METADATA_UNIONS",
    "ROOT",
    "TABLES",
    "UNIONS",
]

ROOT, IDENTIFIER = "Model", b"TFL3"
METADATA_IDENTIFIER = b"M001"
METADATA_ROOTS = ("ModelMetadata", "ObjectDetectorOptions")

_MODEL = """
Model version:u4 operator_codes:[OperatorCode] subgraphs:[SubGraph] str buffers:[Buffer] metadata_buffer:[i4]
 metadata:[Metadata] signature_defs:[SignatureDef] external_buffer_groups:[ExternalBufferGroup]
 external_buffers:[ExternalBuffer];
OperatorCode deprecated_builtin_code:i1 custom_code:str i4 builtin_code:i4;
SubGraph tensors:[Tensor] inputs:[i4] outputs:[i4] operators:[Operator] str 4;
Operator opcode_index:u4 inputs:[i4] outputs:[i4] 1 options:<BuiltinOptions> custom_options:[u1] 1 [1] [i4]
 large_custom_options_offset:u8 large_custom_options_size:u8 1 options_2:<BuiltinOptions2> 4;
Tensor shape:[i4] type:i1 buffer:u4 name:str quantization:QuantizationParameters is_variable:u1
 sparsity:SparsityParameters shape_signature:[i4] 1 [VariantSubType] external_buffer:u4;
Buffer data:[u1] offset:u8 size:u8; ExternalBufferGroup str; ExternalBuffer 4 4 8 8 str;
Metadata name:str buffer:u4; TensorMap name:str tensor_index:u4;
SignatureDef inputs:[TensorMap] outputs:[TensorMap] signature_key:str - subgraph_index:u4;
QuantizationParameters [4] [4] scale:[f4] zero_point:[i8] 1 <QuantizationDetails> 4;
SparsityParameters [4] [4] [DimensionMetadata];
DimensionMetadata 1 4 1 <SparseIndexVector> 1 <SparseIndexVector>; VariantSubType [4] 1 1
"""
_QUANTIZATION_DETAILS = "CustomQuantization [1]; BlockwiseQuantization 4 4 4"
_SPARSE_INDEX_VECTOR = "Int32Vector [4]; Uint16Vector [2]; Uint8Vector [1]"
_BUILTIN_OPTIONS = """
Conv2DOptions 1 4 4 1 4 4 1; DepthwiseConv2DOptions 1 4 4 4 1 4 4; ConcatEmbeddingsOptions 4 [4] [4];
LSHProjectionOptions 1; Pool2DOptions 1 4 4 4 4 1; SVDFOptions 4 1 1; RNNOptions 1 1;
FullyConnectedOptions 1 1 1 1 1; SoftmaxOptions 4; ConcatenationOptions 4 1; AddOptions 1 1; L2NormOptions 1;
LocalResponseNormalizationOptions 4 4 4 4; LSTMOptions 1 4 4 1 1; ResizeBilinearOptions 1 1 1 1; CallOptions 4;
ReshapeOptions [4]; SkipGramOptions 4 4 1; SpaceToDepthOptions 4; EmbeddingLookupSparseOptions 1; MulOptions 1;
PadOptions; GatherOptions 4 4; BatchToSpaceNDOptions; SpaceToBatchNDOptions; TransposeOptions; ReducerOptions 1;
SubOptions 1 1; DivOptions 1; SqueezeOptions [4]; SequenceRNNOptions 1 1 1; StridedSliceOptions 4 4 4 4 4 1;
ExpOptions; TopKV2Options; SplitOptions 4; LogSoftmaxOptions; CastOptions 1 1; DequantizeOptions;
MaximumMinimumOptions; ArgMaxOptions 1; LessOptions; NegOptions; PadV2Options; GreaterOptions;
GreaterEqualOptions; LessEqualOptions; SelectOptions; SliceOptions; TransposeConvOptions 1 4 4 1 1;
SparseToDenseOptions 1; TileOptions; ExpandDimsOptions; EqualOptions; NotEqualOptions; ShapeOptions 1;
PowOptions; ArgMinOptions 1; FakeQuantOptions 4 4 4 1; PackOptions 4 4; LogicalOrOptions; OneHotOptions 4;
LogicalAndOptions; LogicalNotOptions; UnpackOptions 4 4; FloorDivOptions; SquareOptions; ZerosLikeOptions;
FillOptions; BidirectionalSequenceLSTMOptions 1 4 4 1 1 1; BidirectionalSequenceRNNOptions 1 1 1 1;
UnidirectionalSequenceLSTMOptions 1 4 4 1 1 1; FloorModOptions; RangeOptions; ResizeNearestNeighborOptions 1 1;
LeakyReluOptions 4; SquaredDifferenceOptions; MirrorPadOptions 1; AbsOptions; SplitVOptions 4; UniqueOptions 1;
ReverseV2Options; AddNOptions; GatherNdOptions; CosOptions; WhereOptions; RankOptions;
ReverseSequenceOptions 4 4; MatrixDiagOptions; QuantizeOptions; MatrixSetDiagOptions; HardSwishOptions;
IfOptions 4 4; WhileOptions 4 4; DepthToSpaceOptions 4; NonMaxSuppressionV4Options; NonMaxSuppressionV5Options;
ScatterNdOptions; SelectV2Options; DensifyOptions; SegmentSumOptions; BatchMatMulOptions 1 1 1;
CumsumOptions 1 1; CallOnceOptions 4; BroadcastToOptions; Rfft2dOptions; Conv3DOptions 1 4 4 4 1 4 4 4;
HashtableOptions 4 1 1; HashtableFindOptions; HashtableImportOptions; HashtableSizeOptions;
VarHandleOptions str str; ReadVariableOptions; AssignVariableOptions; RandomOptions 8 8; BucketizeOptions [4];
GeluOptions 1; DynamicUpdateSliceOptions; UnsortedSegmentProdOptions; UnsortedSegmentMaxOptions;
UnsortedSegmentMinOptions; UnsortedSegmentSumOptions; ATan2Options; SignOptions; BitcastOptions;
BitwiseXorOptions; RightShiftOptions
"""
_BUILTIN_OPTIONS_2 = """
StablehloConcatenateOptions 8; StablehloBroadcastInDimOptions [8]; StablehloSliceOptions [8] [8] [8];
StablehloConvolutionOptions [8] [8] [8] [8] [1] 8 8 [8] 8 8 [8] 8 8 [8] 8 8 [4];
StablehloCustomCallOptions str 1 str 4 [4] [1]; StablehloReduceOptions [8] 4;
StablehloScatterOptions 1 [8] [8] [8] 8 1 4; StablehloCompareOptions 4 4; StablehloDynamicSliceOptions [8];
StablehloPadOptions [8] [8] [8]; StablehloIotaOptions 8; StablehloDotGeneralOptions [8] [8] [8] [8] [4];
StablehloReduceWindowOptions [8] [8] [8] [8] [8] 4; StablehloSortOptions 8 1 4; StablehloWhileOptions 4 4;
StablehloGatherOptions [8] [8] [8] 8 [8] 1; StablehloTransposeOptions [8]; DilateOptions;
StablehloRngBitGeneratorOptions 1; ReduceWindowOptions 4; StableHLOCompositeOptions str 4 [1] 1 4;
StablehloShiftLeftOptions; StablehloCaseOptions [4]
"""
_METADATA = """
ModelMetadata str str str subgraph_metadata:[SubGraphMetadata] str str [AssociatedFile] str;
SubGraphMetadata str str input_tensor_metadata:[TensorMetadata] output_tensor_metadata:[TensorMetadata]
 [AssociatedFile] [ProcessUnit] [ProcessUnit] - - custom_metadata:[CustomMetadata];
TensorMetadata name:str str - content:Content process_units:[ProcessUnit] Stats [AssociatedFile];
AssociatedFile str str 1 str str; Content 1 properties:<ContentProperties> ValueRange; ValueRange 4 4; Stats [4] [4];
ProcessUnit 1 options:<ProcessUnitOptions>; CustomMetadata name:str data:[u1]; ImageSize width:u4 height:u4;
ObjectDetectorOptions str ssd_anchors_options:SsdAnchorsOptions tensors_decoding_options:TensorsDecodingOptions;
SsdAnchorsOptions fixed_anchors_schema:FixedAnchorsSchema; FixedAnchorsSchema anchors:[FixedAnchor];
FixedAnchor x_center:f4 y_center:f4 width:f4 height:f4;
TensorsDecodingOptions num_classes:i4 4 4 4 4 4 x_scale:f4 y_scale:f4 w_scale:f4 h_scale:f4
 apply_exponential_on_box_size:u1 sigmoid_score:u1
"""
_CONTENT_PROPERTIES = """
FeatureProperties; ImageProperties color_space:i1 default_size:ImageSize;
BoundingBoxProperties index:[u4] type:i1 coordinate_type:i1; AudioProperties 4 4
"""
_PROCESS_UNIT_OPTIONS = """
NormalizationOptions mean:[f4] std:[f4]; ScoreCalibrationOptions 1 4; ScoreThresholdingOptions 4;
BertTokenizerOptions [AssociatedFile]; SentencePieceTokenizerOptions [AssociatedFile] [AssociatedFile];
RegexTokenizerOptions str [AssociatedFile]
"""


def _declared(text: str) -> dict[str, tuple[str, ...]]:
    tables = (table.split() for table in text.split(";"))
    return {name: tuple(kinds) for name, *kinds in tables}


_MEMBERS = {
    "QuantizationDetails": _declared(_QUANTIZATION_DETAILS),
    "SparseIndexVector": _declared(_SPARSE_INDEX_VECTOR),
    "BuiltinOptions": _declared(_BUILTIN_OPTIONS),
    "BuiltinOptions2": _declared(_BUILTIN_OPTIONS_2),
}
TABLES: Mapping[str, tuple[str, ...]] = {
    **_declared(_MODEL),
    **{name: kinds for members in _MEMBERS.values() for name, kinds in members.items()},
}
UNIONS: Mapping[str, tuple[str, ...]] = {union: tuple(members) for union, members in _MEMBERS.items()}
_METADATA_MEMBERS = {
    "ContentProperties": _declared(_CONTENT_PROPERTIES),
    "ProcessUnitOptions": _declared(_PROCESS_UNIT_OPTIONS),
}
METADATA_TABLES: Mapping[str, tuple[str, ...]] = {
    **_declared(_METADATA),
    **{name: kinds for members in _METADATA_MEMBERS.values() for name, kinds in members.items()},
}
METADATA_UNIONS: Mapping[str, tuple[str, ...]] = {union: tuple(members) for union, members in _METADATA_MEMBERS.items()}
