export const node = (class_type: string, inputs: object) => ({ class_type, inputs });

/** ComfyUI's own example of text to image, small. */
export const WORKFLOW = {
  "1": node("CheckpointLoaderSimple", { ckpt_name: "v1-5-pruned-emaonly.safetensors" }),
  "2": node("CLIPTextEncode", { text: "a fox", clip: ["1", 1] }),
  "3": node("CLIPTextEncode", { text: "blurry", clip: ["1", 1] }),
  "4": node("EmptyLatentImage", { width: 64, height: 64, batch_size: 1 }),
  "5": node("KSampler", { model: ["1", 0], positive: ["2", 0], negative: ["3", 0], latent_image: ["4", 0], seed: 7, steps: 2, cfg: 7, sampler_name: "euler", scheduler: "normal", denoise: 1 }),
  "6": node("VAEDecode", { samples: ["5", 0], vae: ["1", 2] }),
  "7": node("SaveImage", { images: ["6", 0], filename_prefix: "x" }),
};
