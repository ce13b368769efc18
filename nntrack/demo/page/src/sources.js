// Where frames come from: the camera, a picture or a video. Each is {width, height, still, image, stop}.
const LONGEST = 1280; // px: larger frames are reduced, or a phone would be slow

export async function camera() {
  if (!navigator.mediaDevices) throw new Error("The browser gives the camera only to pages from https or localhost.");
  try {
    const video = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, facingMode: "user" };
    const stream = await navigator.mediaDevices.getUserMedia({ video });
    const stop = () => stream.getTracks().forEach((track) => track.stop());
    return await playing((element) => (element.srcObject = stream), stop);
  } catch (error) {
    throw new Error(CAMERA_ERRORS[error.name] ?? `The camera cannot be used: ${error.message}`);
  }
}

const CAMERA_ERRORS = {
  NotFoundError: "No camera was found. Plug one in, or open a picture or a video.",
  OverconstrainedError: "No suitable camera was found. Open a picture or a video instead.",
  NotAllowedError: "The camera was not allowed. Allow it beside the page's address, then start it again.",
  NotReadableError: "The camera is in use by another program. Close that, then start it again.",
};

export async function opened(file) {
  const address = URL.createObjectURL(file);
  const free = () => URL.revokeObjectURL(address);
  try {
    if (!file.type.startsWith("image/")) return await playing((element) => (element.src = address), free);
    const image = new Image();
    image.src = address;
    await image.decode();
    return source(image, image.naturalWidth, image.naturalHeight, true, free);
  } catch {
    free();
    throw new Error(`${file.name} is no picture or video that this browser can show.`);
  }
}

async function playing(connect, stop) {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, loop: true });
  await new Promise((done, failed) => {
    video.onloadeddata = done;
    video.onerror = () => failed(new Error("it cannot be played"));
    connect(video);
  });
  await video.play();
  return source(video, video.videoWidth, video.videoHeight, false, () => {
    video.pause();
    stop();
  });
}

function source(image, width, height, still, stop) {
  const scale = Math.min(1, LONGEST / Math.max(width, height));
  return { image, width: Math.round(width * scale), height: Math.round(height * scale), still, stop };
}

// Calls back when there is a new frame.
export function onFrame({ image }, call) {
  if (image.requestVideoFrameCallback) image.requestVideoFrameCallback(call);
  else requestAnimationFrame(call);
}
