import { table } from "../i18n";

const text = table<Record<string, string>>(
  {
    cfg: "CFG",
    cfg_scale: "CFG scale",
    sd_model_checkpoint: "Checkpoint",
    init_images: "Pictures to start from",
    num_inference_steps: "Steps",
    sampler_name: "Sampler",
    num_images: "Number of pictures",
    batch_size: "Batch size",
    image: "Picture",
    ckpt_name: "Checkpoint",
    lora_name: "LoRA",
    upscaling_resize: "Enlarge by",
    upscaler_1: "Upscaler",
  },
  {
    prompt: "提示词",
    negative_prompt: "反向提示词",
    width: "宽度",
    height: "高度",
    steps: "步数",
    num_inference_steps: "步数",
    seed: "种子",
    noise_seed: "种子",
    cfg: "CFG",
    cfg_scale: "CFG 强度",
    guidance: "引导强度",
    guidance_scale: "引导强度",
    sampler_name: "采样器",
    scheduler: "调度器",
    checkpoint: "模型",
    ckpt_name: "模型",
    model: "模型",
    sd_model_checkpoint: "模型",
    image: "图片",
    mask: "蒙版",
    init_images: "起始图片",
    strength: "重绘强度",
    denoise: "重绘强度",
    denoising_strength: "重绘强度",
    batch_size: "批量大小",
    num_images: "图片数量",
    output_format: "文件格式",
    aspect_ratio: "宽高比",
    lora_name: "LoRA",
    quality: "质量",
    upscaling_resize: "放大倍数",
    upscaler_1: "放大算法",
  },
);

/** A field's name for people. */
export function labelOf(name: string): string {
  const known = text()[name];
  if (known) return known;
  // A workflow's second field of a kind ends with the id of its node.
  const [, plain, node] = /^(.*?)_(\d+)$/.exec(name) ?? [];
  if (plain && node) return `${labelOf(plain)} (${node})`;
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
