// What Opentrack's client requires and does. The same figures as in nntrack/contract.py; a test compares them.
export const LOCALIZER_SIZE = [224, 288]; // height, width
export const LOCALIZER_THRESHOLD = 0.5;
export const POSE_OUTPUTS = {
  pos_size: [1, 3],
  quat: [1, 4],
  box: [1, 4],
  rotaxis_scales_tril: [1, 3, 3],
  pos_size_scales_tril: [1, 3, 3],
};
export const POSE_REQUIRED = ["pos_size", "quat", "box"];
export const MODEL_VERSIONS = [2, 4]; // oldest and newest whose quaternions are in the present frame
export const UNIT_TOLERANCE = 0.001; // of a quaternion's length
export const PREPROCESSING = { quantile: 0.9, dark_below: 127, target: 0.45, floor: 5, offset: 0.5 };
export const LIVE_LOOP = {
  aspect: [4, 3],
  multiple: 8,
  halve_from: 640,
  levels: 4,
  smallest_face: 16,
  same_face: 0.25,
};
export const WORLD_POSE = { fov: 56, head_height: 200, offset: [0, 0, 100] };
export const LARGEST_WINDOW = 4; // frame widths: a wider one is dropped
