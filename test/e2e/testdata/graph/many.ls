NETWORK  CONTAINER  INTERFACE  ADDRESSES  HOST LINK  PORTS  AGE  STATE  BRIDGE  NAMESPACE  MADE BY  WHY
back  cnitool-02fe66eeecfb138677b0  eth0  10.51.0.125/24  veth95e50a1efc9  0s  whole  back0  /run/netns/job-26  trestle
back  cnitool-04d13000b76c636e6892  eth0  10.51.0.135/24  vethca167ad90da  0s  whole  back0  /run/netns/job-36  trestle
back  cnitool-05f4fc66cb4924f2416e  eth0  10.51.0.138/24  vethb2e6b55b461  0s  whole  back0  /run/netns/job-39  trestle
back  cnitool-0871f038ad5d016f1001  eth0  10.51.0.163/24  veth97199588517  0s  whole  back0  /run/netns/job-64  trestle
back  cnitool-0a7895529b480f6ba18b  eth0  10.51.0.145/24  veth4f65fb16839  0s  whole  back0  /run/netns/job-46  trestle
back  cnitool-0ab8547caaa904af2401  eth0  10.51.0.127/24  veth73d68e3fd58  0s  whole  back0  /run/netns/job-28  trestle
back  cnitool-0ae5fe085615a7695139  eth0  10.51.0.117/24  vethb17a24b469f  0s  whole  back0  /run/netns/job-18  trestle
back  cnitool-0d338bdb77c78c3c011b  eth0  10.51.0.169/24  vethd61738d0c7a  0s  whole  back0  /run/netns/job-70  trestle
back  cnitool-11291d7219b6fb5871f3  eth0  10.51.0.167/24  vethec90b8f9427  0s  whole  back0  /run/netns/job-68  trestle
back  cnitool-133fca0d194d2a988c45  eth0  10.51.0.173/24  vethce3fe6779e7  0s  whole  back0  /run/netns/job-74  trestle
back  cnitool-1840bdd293127bb88e42  eth0  10.51.0.164/24  vethb1e359c31b8  0s  whole  back0  /run/netns/job-65  trestle
back  cnitool-1b0aaf010217b3cb8af2  eth0  10.51.0.152/24  veth4b6bf6b98db  0s  whole  back0  /run/netns/job-53  trestle
back  cnitool-1eb4faff3ec50a375aff  eth0  10.51.0.159/24  vethf1e6b59a472  0s  whole  back0  /run/netns/job-60  trestle
back  cnitool-1f8e7e5bdd2bbc1e3d38  eth0  10.51.0.100/24  veth6b270e12e31  0s  whole  back0  /run/netns/job-01  trestle
back  cnitool-1fc69317fb2c5bfd39de  eth0  10.51.0.178/24  veth8e799c4e9e0  0s  whole  back0  /run/netns/job-79  trestle
back  cnitool-23d9f287b813649d43db  eth0  10.51.0.131/24  vethd9ec1ba0012  0s  whole  back0  /run/netns/job-32  trestle
back  cnitool-24c21f2dad94e5fbf9e5  eth0  10.51.0.126/24  veth05634f5a38e  0s  whole  back0  /run/netns/job-27  trestle
back  cnitool-2884c83abe73e7cc0fde  eth0  10.51.0.114/24  veth3cda0838f0b  0s  whole  back0  /run/netns/job-15  trestle
back  cnitool-28df1765773e02ad4221  eth0  10.51.0.144/24  veth7c803908f1e  0s  whole  back0  /run/netns/job-45  trestle
back  cnitool-2b119faacf52cf4f1ec9  eth0  10.51.0.168/24  veth2c2758ce341  0s  whole  back0  /run/netns/job-69  trestle
back  cnitool-2f2b3d92499c9c4d7b6c  eth0  10.51.0.170/24  veth276f3593414  0s  whole  back0  /run/netns/job-71  trestle
back  cnitool-3062132e317f58544bd1  eth0  10.51.0.149/24  veth953475ccab1  0s  whole  back0  /run/netns/job-50  trestle
back  cnitool-31af45788896e4f22184  eth0  10.51.0.137/24  vethb6c55a4c795  0s  whole  back0  /run/netns/job-38  trestle
back  cnitool-34b99b595a4198833ef1  eth0  10.51.0.156/24  veth6535bfd59e5  0s  whole  back0  /run/netns/job-57  trestle
back  cnitool-361a7916df6c1e123cc1  eth0  10.51.0.120/24  vetha7852ee6d88  0s  whole  back0  /run/netns/job-21  trestle
back  cnitool-3a7f862cbf10c3e59057  eth0  10.51.0.110/24  veth1ac54718573  0s  whole  back0  /run/netns/job-11  trestle
back  cnitool-3b88a5482e40bdecbe70  eth0  10.51.0.172/24  vethbd7c4387b3d  0s  whole  back0  /run/netns/job-73  trestle
back  cnitool-46f7710d01eec3306f82  eth0  10.51.0.101/24  veth70f3c21aad8  0s  whole  back0  /run/netns/job-02  trestle
back  cnitool-47dd54ca842e61f329ad  eth0  10.51.0.136/24  vethc36238248c6  0s  whole  back0  /run/netns/job-37  trestle
back  cnitool-4a4c549e6e51da44f432  eth0  10.51.0.158/24  vethdbe37ff74fb  0s  whole  back0  /run/netns/job-59  trestle
back  cnitool-4ab1eacbd604ce12a18f  eth0  10.51.0.153/24  veth4bb2673ecb7  0s  whole  back0  /run/netns/job-54  trestle
back  cnitool-4b124797d35492f16ba7  eth0  10.51.0.121/24  vethd321eb9caa3  0s  whole  back0  /run/netns/job-22  trestle
back  cnitool-4bd0a485f6912e7a16bc  eth0  10.51.0.161/24  veth7104fdc84a4  0s  whole  back0  /run/netns/job-62  trestle
back  cnitool-4bfff1b304f56c0f0ccd  eth0  10.51.0.116/24  vethad89aa5da12  0s  whole  back0  /run/netns/job-17  trestle
back  cnitool-5cf6b4a3f357e06bdc4a  eth0  10.51.0.171/24  veth18641462778  0s  whole  back0  /run/netns/job-72  trestle
back  cnitool-5e2e69e9ec480b5c5b52  eth0  10.51.0.154/24  veth6dc40c063ed  0s  whole  back0  /run/netns/job-55  trestle
back  cnitool-5f87327cbada74fc1ba1  eth0  10.51.0.104/24  veth3fa2f44c0b4  0s  whole  back0  /run/netns/job-05  trestle
back  cnitool-609b08de6978991c9493  eth0  10.51.0.139/24  veth983c229d0d8  0s  whole  back0  /run/netns/job-40  trestle
back  cnitool-60dfe0a6bb802e292f6d  eth0  10.51.0.166/24  veth6e5ee419885  0s  whole  back0  /run/netns/job-67  trestle
back  cnitool-638c24bd2d5a62d936d0  eth0  10.51.0.132/24  vethf9175288270  0s  whole  back0  /run/netns/job-33  trestle
back  cnitool-64da2db71ecb62cdf174  eth0  10.51.0.128/24  vetha6f16e025ee  0s  whole  back0  /run/netns/job-29  trestle
back  cnitool-6bff0e1c96257449e167  eth0  10.51.0.165/24  veth914300e2319  0s  whole  back0  /run/netns/job-66  trestle
back  cnitool-78d97f83c9e41e707d0b  eth0  10.51.0.175/24  veth77c8a190e8f  0s  whole  back0  /run/netns/job-76  trestle
back  cnitool-79d9151df69c8b69e47f  eth0  10.51.0.102/24  veth23969d52beb  0s  whole  back0  /run/netns/job-03  trestle
back  cnitool-7a6f8eec9d290d96a5f4  eth0  10.51.0.123/24  veth060772cbefe  0s  whole  back0  /run/netns/job-24  trestle
back  cnitool-83db078b2f5306332f74  eth0  10.51.0.113/24  veth86ce516ddfa  0s  whole  back0  /run/netns/job-14  trestle
back  cnitool-857ad1d94b370b3a1954  eth0  10.51.0.124/24  veth4db889dec44  0s  whole  back0  /run/netns/job-25  trestle
back  cnitool-88d884a4212cc38fd2ba  eth0  10.51.0.118/24  veth8f9f2764db3  0s  whole  back0  /run/netns/job-19  trestle
back  cnitool-94b7ae78b9c533eba908  eth0  10.51.0.130/24  veth3895eb581ed  0s  whole  back0  /run/netns/job-31  trestle
back  cnitool-95af767f0d9ea81143f0  eth0  10.51.0.111/24  veth49018c002cd  0s  whole  back0  /run/netns/job-12  trestle
back  cnitool-9b85f657c6abcf718a2d  eth0  10.51.0.106/24  veth7d37fafea84  0s  whole  back0  /run/netns/job-07  trestle
back  cnitool-9ee505ce9281ad01f9c8  eth0  10.51.0.119/24  vethf5522977110  0s  whole  back0  /run/netns/job-20  trestle
back  cnitool-9ee50d14bb73aae32a38  eth0  10.51.0.143/24  vethb5c4d75f995  0s  whole  back0  /run/netns/job-44  trestle
back  cnitool-a569a631e50d2dc21585  eth0  10.51.0.148/24  vethe15a96b8338  0s  whole  back0  /run/netns/job-49  trestle
back  cnitool-ae0299453635a4d1d74f  eth0  10.51.0.157/24  veth0524b97c840  0s  whole  back0  /run/netns/job-58  trestle
back  cnitool-b18082f6c9635abd3d4b  eth0  10.51.0.142/24  veth0fea964bc86  0s  whole  back0  /run/netns/job-43  trestle
back  cnitool-b9225b56dd684ec2fd4c  eth0  10.51.0.162/24  vethf99014a1a20  0s  whole  back0  /run/netns/job-63  trestle
back  cnitool-b9e5ad9453c097422606  eth0  10.51.0.155/24  vethb04286c944f  0s  whole  back0  /run/netns/job-56  trestle
back  cnitool-baeb8c38fcd8f79066a8  eth0  10.51.0.160/24  veth3ac5805a1da  0s  whole  back0  /run/netns/job-61  trestle
back  cnitool-c56bafe6d363932e487a  eth0  10.51.0.150/24  veth6d8d0ddeb9d  0s  whole  back0  /run/netns/job-51  trestle
back  cnitool-c6fbacaf968342431677  eth0  10.51.0.105/24  vethc5fceb16f4f  0s  whole  back0  /run/netns/job-06  trestle
back  cnitool-c78f78ef8199c0b82842  eth0  10.51.0.177/24  vethb598908bfe2  0s  whole  back0  /run/netns/job-78  trestle
back  cnitool-c9985c136f33cb988851  eth0  10.51.0.129/24  vethd81a9836bcc  0s  whole  back0  /run/netns/job-30  trestle
back  cnitool-cb5e20966ff0af519516  eth0  10.51.0.176/24  veth1df341d227f  0s  whole  back0  /run/netns/job-77  trestle
back  cnitool-cce0b5a9951d8e581369  eth0  10.51.0.122/24  vethbbfabea080a  0s  whole  back0  /run/netns/job-23  trestle
back  cnitool-cee10fd7e58e4d2455d9  eth0  10.51.0.147/24  veth32894931f7f  0s  whole  back0  /run/netns/job-48  trestle
back  cnitool-d85f38d7ba6c25b31973  eth0  10.51.0.141/24  veth9e262b5a7b4  0s  whole  back0  /run/netns/job-42  trestle
back  cnitool-d9ef7981102fe1f025ec  eth0  10.51.0.103/24  veth3011529dc85  0s  whole  back0  /run/netns/job-04  trestle
back  cnitool-daba25732a6afb354808  eth0  10.51.0.108/24  veth8c53ad8402f  0s  whole  back0  /run/netns/job-09  trestle
back  cnitool-e07b83d640c527a57a6c  eth0  10.51.0.112/24  veth27eae752060  0s  whole  back0  /run/netns/job-13  trestle
back  cnitool-e22a0d274f6cb9cd63c0  eth0  10.51.0.146/24  veth6d5efa44f6d  0s  whole  back0  /run/netns/job-47  trestle
back  cnitool-e681ba835cdabc05e2f1  eth0  10.51.0.134/24  veth3c84417de49  0s  whole  back0  /run/netns/job-35  trestle
back  cnitool-e809d2c0c59405d4eeec  eth0  10.51.0.140/24  vethac7bde809f9  0s  whole  back0  /run/netns/job-41  trestle
back  cnitool-ec09a07b3c61d9cea5da  eth0  10.51.0.133/24  veth4399c0aa266  0s  whole  back0  /run/netns/job-34  trestle
back  cnitool-ecadc001f48f1add9d71  eth0  10.51.0.151/24  vethc15407d72ec  0s  whole  back0  /run/netns/job-52  trestle
back  cnitool-ee60006fd9ae5110bc5e  eth0  10.51.0.107/24  veth66d6128ad3f  0s  whole  back0  /run/netns/job-08  trestle
back  cnitool-ef97a53ae0d1f6f49c7d  eth0  10.51.0.174/24  veth22c68b733df  0s  whole  back0  /run/netns/job-75  trestle
back  cnitool-f1e9d4bd9f5278b5c9da  eth0  10.51.0.115/24  veth8be115a245e  0s  whole  back0  /run/netns/job-16  trestle
back  cnitool-f5f77aade62f17cb7f92  eth0  10.51.0.179/24  vetha43e1f7d4e3  0s  whole  back0  /run/netns/job-80  trestle
back  cnitool-f86ec60774d3facb02df  eth0  10.51.0.109/24  vethe6d79db6546  0s  whole  back0  /run/netns/job-10  trestle
front  cnitool-03175a14afabcf9756ab  eth0  10.50.0.39/24  veth5ecc7fd4f30  0s  whole  front0  /run/netns/web-038  trestle
front  cnitool-03aba178ccc8b9fffd69  eth0  10.50.0.31/24  veth043946c08b1  0s  whole  front0  /run/netns/web-030  trestle
front  cnitool-03fab5dcbaaa79e55542  eth0  10.50.0.32/24  veth1e2efa7cc40  0s  whole  front0  /run/netns/web-031  trestle
front  cnitool-052e9346889bdec7c2c0  eth0  10.50.0.33/24  vethd86d8ed7491  0s  whole  front0  /run/netns/web-032  trestle
front  cnitool-085e59ffd94683de1cca  eth0  10.50.0.110/24  veth0f7d225c38b  0s  whole  front0  /run/netns/web-109  trestle
front  cnitool-08ffa7cb27976290800d  eth0  10.50.0.13/24  vethfb50a0dda42  0s  whole  front0  /run/netns/web-012  trestle
front  cnitool-09a4d02737d87b7bf932  eth0  10.50.0.68/24  vethbe246b74bd6  0s  whole  front0  /run/netns/web-067  trestle
front  cnitool-0a7029256bf56aba0cdf  eth0  10.50.0.2/24  veth03ef8bb0da8  0s  whole  front0  /run/netns/web-001  trestle
front  cnitool-0af8d5c55e4e446b5fa3  eth0  10.50.0.95/24  veth049ee859d13  0s  whole  front0  /run/netns/web-094  trestle
front  cnitool-0d3d4f0d00a28aa02e14  eth0  10.50.0.121/24  vethd7a01ce559c  0s  whole  front0  /run/netns/web-120  trestle
front  cnitool-0fdeb36b057e8663e5f6  eth0  10.50.0.46/24  veth6a2bea56b19  0s  whole  front0  /run/netns/web-045  trestle
front  cnitool-0ff2a247c9ac846a93a7  eth0  10.50.0.72/24  veth1861286e5ea  0s  whole  front0  /run/netns/web-071  trestle
front  cnitool-1373310d312f7460e4c6  eth0  10.50.0.4/24  vethf086851eda1  0s  whole  front0  /run/netns/web-003  trestle
front  cnitool-196c8182000a3adc4c94  eth0  10.50.0.35/24  vethc82c8cc020e  0s  whole  front0  /run/netns/web-034  trestle
front  cnitool-204a316d02f2cc501c5b  eth0  10.50.0.29/24  veth2b38086ed97  0s  whole  front0  /run/netns/web-028  trestle
front  cnitool-27e27c85d97c9712452d  eth0  10.50.0.73/24  vetha204aa0e5ad  0s  whole  front0  /run/netns/web-072  trestle
front  cnitool-28c5eccfa4184212fc18  eth0  10.50.0.41/24  veth7340b860591  0s  whole  front0  /run/netns/web-040  trestle
front  cnitool-28da190e5e50d83909be  eth0  10.50.0.108/24  veth855b39611d5  0s  whole  front0  /run/netns/web-107  trestle
front  cnitool-2fa25390e164265a6aef  eth0  10.50.0.63/24  vetha1d54698374  0s  whole  front0  /run/netns/web-062  trestle
front  cnitool-3163732d982e7b652c89  eth0  10.50.0.92/24  vethc030e0c69fa  0s  whole  front0  /run/netns/web-091  trestle
front  cnitool-31fa77d3063fd61560d1  eth0  10.50.0.3/24  vethc7bbe780130  0s  whole  front0  /run/netns/web-002  trestle
front  cnitool-3636d8a8051158803b26  eth0  10.50.0.62/24  veth4c07ed94253  0s  whole  front0  /run/netns/web-061  trestle
front  cnitool-37609b75bce46b1ee162  eth0  10.50.0.57/24  veth92d1e49937a  0s  whole  front0  /run/netns/web-056  trestle
front  cnitool-38a604df95c3f310909d  eth0  10.50.0.47/24  vethc6de32ab368  0s  whole  front0  /run/netns/web-046  trestle
front  cnitool-3b6bc4ed9a4a17605753  eth0  10.50.0.69/24  veth83d6d64c512  0s  whole  front0  /run/netns/web-068  trestle
front  cnitool-3d1aba56a3e7015ebfe5  eth0  10.50.0.12/24  veth7c28bf1474e  0s  whole  front0  /run/netns/web-011  trestle
front  cnitool-3ecb5299adec79ceff43  eth0  10.50.0.26/24  vethc00d5c42a7f  0s  whole  front0  /run/netns/web-025  trestle
front  cnitool-3fd9e12772f7dabb7015  eth0  10.50.0.89/24  veth097bf048b89  0s  whole  front0  /run/netns/web-088  trestle
front  cnitool-40ceed199d51e528fc0f  eth0  10.50.0.106/24  veth7bb4049beb4  0s  whole  front0  /run/netns/web-105  trestle
front  cnitool-40e0fded19aaf76085ee  eth0  10.50.0.79/24  veth51a984a8efd  0s  whole  front0  /run/netns/web-078  trestle
front  cnitool-41526dcf29695cde0995  eth0  10.50.0.93/24  vethb6a0e93b702  0s  whole  front0  /run/netns/web-092  trestle
front  cnitool-4528f0b3d275d78a589a  eth0  10.50.0.64/24  vethca6d0da3c5d  0s  whole  front0  /run/netns/web-063  trestle
front  cnitool-45be970a41e4fa5a9214  eth0  10.50.0.109/24  vethc1e36fd7176  0s  whole  front0  /run/netns/web-108  trestle
front  cnitool-4a1901c60b80b2fc80ab  eth0  10.50.0.51/24  vetha5d4ebb7614  0s  whole  front0  /run/netns/web-050  trestle
front  cnitool-4a5afc31594d8286b29e  eth0  10.50.0.113/24  veth8ca19987112  0s  whole  front0  /run/netns/web-112  trestle
front  cnitool-4b01d8586e746f1dab02  eth0  10.50.0.37/24  veth4229577af0d  0s  whole  front0  /run/netns/web-036  trestle
front  cnitool-4b7b8acb732b8318f512  eth0  10.50.0.90/24  veth124bc0aba80  0s  whole  front0  /run/netns/web-089  trestle
front  cnitool-4c480f3862cdff88efb2  eth0  10.50.0.61/24  veth1179aa9f881  0s  whole  front0  /run/netns/web-060  trestle
front  cnitool-4d1f3479cc6d64822018  eth0  10.50.0.100/24  vethb75a8ee738d  0s  whole  front0  /run/netns/web-099  trestle
front  cnitool-4e5a61927707a0416dc1  eth0  10.50.0.20/24  vethec20aa827ed  0s  whole  front0  /run/netns/web-019  trestle
front  cnitool-535f0ed2b8974439c86d  eth0  10.50.0.112/24  vethfa427011424  0s  whole  front0  /run/netns/web-111  trestle
front  cnitool-55859a305de1e93723d5  eth0  10.50.0.65/24  vethe44cb10c126  0s  whole  front0  /run/netns/web-064  trestle
front  cnitool-564d70fdb437228b1448  eth0  10.50.0.66/24  vethd6b5a512f58  0s  whole  front0  /run/netns/web-065  trestle
front  cnitool-5b0cfaf0b7f8401d7ad7  eth0  10.50.0.27/24  veth04d61ac49a4  0s  whole  front0  /run/netns/web-026  trestle
front  cnitool-5c9cf02f2999d857cec4  eth0  10.50.0.7/24  veth155a09f0185  0s  whole  front0  /run/netns/web-006  trestle
front  cnitool-5eae7e214b1e480be3dd  eth0  10.50.0.88/24  vethd158fb35c6a  0s  whole  front0  /run/netns/web-087  trestle
front  cnitool-606d10b9bd84665549fd  eth0  10.50.0.24/24  vethdda4773582a  0s  whole  front0  /run/netns/web-023  trestle
front  cnitool-61cdd742547d6c21483b  eth0  10.50.0.82/24  veth46c8556126b  0s  whole  front0  /run/netns/web-081  trestle
front  cnitool-62afe357a6331c3d011a  eth0  10.50.0.16/24  vethb7a8c166b70  0s  whole  front0  /run/netns/web-015  trestle
front  cnitool-639ceaf014d758835426  eth0  10.50.0.96/24  veth2adbf0f36a1  0s  whole  front0  /run/netns/web-095  trestle
front  cnitool-648768f17cf46a9c598a  eth0  10.50.0.91/24  veth6179f53f0cd  0s  whole  front0  /run/netns/web-090  trestle
front  cnitool-67fdd647fff44736e405  eth0  10.50.0.14/24  vethaa98fe4f867  0s  whole  front0  /run/netns/web-013  trestle
front  cnitool-68f463fab051b682a2c0  eth0  10.50.0.59/24  veth24ad4096c82  0s  whole  front0  /run/netns/web-058  trestle
front  cnitool-6e98d809790d51b1978e  eth0  10.50.0.115/24  vethbad82cb54c8  0s  whole  front0  /run/netns/web-114  trestle
front  cnitool-6f7b3aaa8d8ccddf714e  eth0  10.50.0.28/24  vethb9ee47050c2  0s  whole  front0  /run/netns/web-027  trestle
front  cnitool-719637c311f322a7dd83  eth0  10.50.0.5/24  vethdee3be4704a  0s  whole  front0  /run/netns/web-004  trestle
front  cnitool-72a1ef26e6dda39139fa  eth0  10.50.0.30/24  vethda1a3dfe1b6  0s  whole  front0  /run/netns/web-029  trestle
front  cnitool-735e459ba55b7974b6b4  eth0  10.50.0.44/24  vethf07c004b800  0s  whole  front0  /run/netns/web-043  trestle
front  cnitool-74392124e73df9066381  eth0  10.50.0.52/24  vetha5443978782  0s  whole  front0  /run/netns/web-051  trestle
front  cnitool-7548be242ffc8a31efda  eth0  10.50.0.43/24  veth5110561e36b  0s  whole  front0  /run/netns/web-042  trestle
front  cnitool-7c48def19db42c974200  eth0  10.50.0.77/24  vethcbef3fad2c1  0s  whole  front0  /run/netns/web-076  trestle
front  cnitool-7da132fe138218c4006c  eth0  10.50.0.22/24  vethfcea58faf8a  0s  whole  front0  /run/netns/web-021  trestle
front  cnitool-7da74c38e7cfcf76c915  eth0  10.50.0.118/24  veth9d6215b7f64  0s  whole  front0  /run/netns/web-117  trestle
front  cnitool-81010de3ae1eaf54fba3  eth0  10.50.0.78/24  veth9e644f445e8  0s  whole  front0  /run/netns/web-077  trestle
front  cnitool-8156bded9eb483662480  eth0  10.50.0.17/24  veth58c453737be  0s  whole  front0  /run/netns/web-016  trestle
front  cnitool-8466050ab3756c3a5bb8  eth0  10.50.0.80/24  vethca2492ef2be  0s  whole  front0  /run/netns/web-079  trestle
front  cnitool-861c8fd8ed77b0275d06  eth0  10.50.0.54/24  veth4edc58b7f96  0s  whole  front0  /run/netns/web-053  trestle
front  cnitool-87a5da1672c7a11ab1ba  eth0  10.50.0.25/24  veth163ae083519  0s  whole  front0  /run/netns/web-024  trestle
front  cnitool-87eac3c21c5c6c874f57  eth0  10.50.0.48/24  vethcc62d0d8ddd  0s  whole  front0  /run/netns/web-047  trestle
front  cnitool-89d8388219701cb43678  eth0  10.50.0.111/24  veth264428656f9  0s  whole  front0  /run/netns/web-110  trestle
front  cnitool-8a7a289c996b03f8a8fe  eth0  10.50.0.103/24  vethcf1d9a65f03  0s  whole  front0  /run/netns/web-102  trestle
front  cnitool-8a8fb35dcfdc6481325f  eth0  10.50.0.49/24  vethbd0a00b91e7  0s  whole  front0  /run/netns/web-048  trestle
front  cnitool-8bd49fffa6ea33ab94eb  eth0  10.50.0.97/24  vethbfd46663326  0s  whole  front0  /run/netns/web-096  trestle
front  cnitool-8c437f0a1a6778ed3974  eth0  10.50.0.119/24  veth43c50f9f65f  0s  whole  front0  /run/netns/web-118  trestle
front  cnitool-8d8ebb6751b0eb44a3fc  eth0  10.50.0.76/24  veth37e5db64f9a  0s  whole  front0  /run/netns/web-075  trestle
front  cnitool-8ed4c418c4977fe8ef20  eth0  10.50.0.36/24  veth2f8b681435f  0s  whole  front0  /run/netns/web-035  trestle
front  cnitool-90066b6548d5f0354c5a  eth0  10.50.0.98/24  veth9e484be6c79  0s  whole  front0  /run/netns/web-097  trestle
front  cnitool-9226b790938be64bd5cb  eth0  10.50.0.87/24  vethb1d8dc93985  0s  whole  front0  /run/netns/web-086  trestle
front  cnitool-97d239dc81123a91573e  eth0  10.50.0.107/24  veth39003ab79f8  0s  whole  front0  /run/netns/web-106  trestle
front  cnitool-9d1dea93577a5cc96048  eth0  10.50.0.42/24  vethc20e91f0744  0s  whole  front0  /run/netns/web-041  trestle
front  cnitool-a00d4266825f98df16aa  eth0  10.50.0.99/24  vethb2e753438b2  0s  whole  front0  /run/netns/web-098  trestle
front  cnitool-a0e0984792b18c4c985f  eth0  10.50.0.81/24  veth7709386f9f6  0s  whole  front0  /run/netns/web-080  trestle
front  cnitool-aacefdf4c09cc5704085  eth0  10.50.0.83/24  veth3a532904a5d  0s  whole  front0  /run/netns/web-082  trestle
front  cnitool-aaff63b4277d161a4d3e  eth0  10.50.0.105/24  veth46294c37b72  0s  whole  front0  /run/netns/web-104  trestle
front  cnitool-ac76a00ac8557976a12c  eth0  10.50.0.21/24  veth0712b5821b4  0s  whole  front0  /run/netns/web-020  trestle
front  cnitool-afb3f20ca6eb866eea8c  eth0  10.50.0.34/24  veth5bd4b1ecb33  0s  whole  front0  /run/netns/web-033  trestle
front  cnitool-b205409194dd8746410e  eth0  10.50.0.120/24  veth59f83545753  0s  whole  front0  /run/netns/web-119  trestle
front  cnitool-b266bf473a52de055513  eth0  10.50.0.8/24  veth93ea84b74f7  0s  broken  front0  /run/netns/web-007  trestle  bridge: links up: link eth0: expected up, found down; routes on eth0: expected 0.0.0.0/0 via 10.50.0.1, found []; expected 10.50.0.0/24, found []; port of front0: veth93ea84b74f7: expected forwarding, found disabled
front  cnitool-b3902a5ad7087e6bcb7d  eth0  10.50.0.85/24  veth83309e90d68  0s  whole  front0  /run/netns/web-084  trestle
front  cnitool-b420670ef57d4d049f7d  eth0  10.50.0.102/24  veth3ce9008a4ad  0s  whole  front0  /run/netns/web-101  trestle
front  cnitool-bc60cec3e4e1e0c1c4d1  eth0  10.50.0.60/24  vethac7aa554e37  0s  whole  front0  /run/netns/web-059  trestle
front  cnitool-bd519288712ea69583f8  eth0  10.50.0.6/24  veth490d3f67332  0s  whole  front0  /run/netns/web-005  trestle
front  cnitool-bf92dd724189447e3641  eth0  10.50.0.114/24  vethcc5bcb86d87  0s  whole  front0  /run/netns/web-113  trestle
front  cnitool-bfda5b9216f4cf7e13e8  eth0  10.50.0.11/24  vetha60f7decf2d  0s  whole  front0  /run/netns/web-010  trestle
front  cnitool-c05d922036b6fa55a504  eth0  10.50.0.56/24  vethb0d4e7c2595  0s  whole  front0  /run/netns/web-055  trestle
front  cnitool-c72c9ce989dae90a7404  eth0  10.50.0.67/24  veth3e5e051d3a9  0s  whole  front0  /run/netns/web-066  trestle
front  cnitool-cef8f29f016ecc4bf66c  eth0  10.50.0.86/24  veth23996780b08  0s  whole  front0  /run/netns/web-085  trestle
front  cnitool-d01a15d51194427ff213  eth0  10.50.0.38/24  vethbaeb9a529e0  0s  whole  front0  /run/netns/web-037  trestle
front  cnitool-d0ea04cc72af2479a2d8  eth0  10.50.0.101/24  veth91ad34b061f  0s  whole  front0  /run/netns/web-100  trestle
front  cnitool-d0f8b091d0fe35aa4809  eth0  10.50.0.18/24  vethf980d27aab9  0s  whole  front0  /run/netns/web-017  trestle
front  cnitool-d158d74368c3ccfd3243  eth0  10.50.0.75/24  veth264fc7c8d1f  0s  whole  front0  /run/netns/web-074  trestle
front  cnitool-d20a79b6efc07f44a85d  eth0  10.50.0.74/24  veth853e5425378  0s  whole  front0  /run/netns/web-073  trestle
front  cnitool-d2d195341a3cca4701c7  eth0  10.50.0.19/24  vetha93d2c64738  0s  whole  front0  /run/netns/web-018  trestle
front  cnitool-d4fcc2ab7d04c7fa000f  eth0  10.50.0.53/24  vethc0540193a03  0s  whole  front0  /run/netns/web-052  trestle
front  cnitool-dd36b75caf27617f985f  eth0  10.50.0.50/24  veth70477df720c  0s  whole  front0  /run/netns/web-049  trestle
front  cnitool-de2cd338c4a763672c9a  eth0  10.50.0.70/24  vethe8b412735d9  0s  whole  front0  /run/netns/web-069  trestle
front  cnitool-de470be6c790493904d9  eth0  10.50.0.45/24  veth63286184c4a  0s  whole  front0  /run/netns/web-044  trestle
front  cnitool-df05770a3ce3c9180f69  eth0  10.50.0.104/24  veth06da189a682  0s  whole  front0  /run/netns/web-103  trestle
front  cnitool-e31ee680a389d5b215e6  eth0  10.50.0.23/24  veth8370a099b34  0s  whole  front0  /run/netns/web-022  trestle
front  cnitool-e4136552438e40739d49  eth0  10.50.0.58/24  vethb155b92e433  0s  whole  front0  /run/netns/web-057  trestle
front  cnitool-e6491aaa0e5cc17f5049  eth0  10.50.0.40/24  veth92d53c620f7  0s  whole  front0  /run/netns/web-039  trestle
front  cnitool-e6b9754cb79f210e79e5  eth0  10.50.0.10/24  veth108395bb829  0s  whole  front0  /run/netns/web-009  trestle
front  cnitool-ec412f052b086d14a880  eth0  10.50.0.94/24  veth830e912ff2b  0s  whole  front0  /run/netns/web-093  trestle
front  cnitool-ee10f4d58ef575fdb84a  eth0  10.50.0.116/24  veth5238ff0f438  0s  whole  front0  /run/netns/web-115  trestle
front  cnitool-f6bb9549b9c14819f4d2  eth0  10.50.0.55/24  veth9a9375b52d6  0s  whole  front0  /run/netns/web-054  trestle
front  cnitool-f7a62b0843794c89f1c8  eth0  10.50.0.84/24  veth8bf8fa472b4  0s  whole  front0  /run/netns/web-083  trestle
front  cnitool-fa448a2f1a223578b084  eth0  10.50.0.9/24  vethf63f13bee7d  0s  whole  front0  /run/netns/web-008  trestle
front  cnitool-fa9277268b67b4ddcff3  eth0  10.50.0.15/24  veth243beacd994  0s  whole  front0  /run/netns/web-014  trestle
front  cnitool-fb2de70e1131ff81dc9c  eth0  10.50.0.71/24  vethb96f4386210  0s  whole  front0  /run/netns/web-070  trestle
front  cnitool-ffc3a31b9b01af34b81a  eth0  10.50.0.117/24  vethb676dbf9626  0s  whole  front0  /run/netns/web-116  trestle
{
  "attachments": [
  {
  "id": "back/cnitool-02fe66eeecfb138677b0/eth0",
  "network": "back",
  "containerID": "cnitool-02fe66eeecfb138677b0",
  "ifname": "eth0",
  "origin": "trestle",
  "state": "whole",
  "netns": "/run/netns/job-26",
  "namespace": "netns/1",
  "link": "netns/1/eth0",
  "hostLink": "netns/host/veth95e50a1efc9",
  "bridge": "netns/host/back0",
  "addresses": [
  "10.51.0.125/24"
  ],
  "result": "/var/lib/cni/results/back-cnitool-02fe66eeecfb138677b0-eth0",
  "since": "(then)"
  },
  {
  "id": "back/cnitool-04d13000b76c636e6892/eth0",
  "network": "back",
  "containerID": "cnitool-04d13000b76c636e6892",
  "ifname": "eth0",
  "origin": "trestle",
  "state": "whole",
  "netns": "/run/netns/job-36",
  "namespace": "netns/2",
  "link": "netns/2/eth0",
  "hostLink": "netns/host/vethca167ad90da",
  "bridge": "netns/host/back0",
  "addresses": [
  "10.51.0.135/24"
  ],
  "result": "/var/lib/cni/results/back-cnitool-04d13000b76c636e6892-eth0",
  "since": "(then)"
  },
  {
  "id": "back/cnitool-05f4fc66cb4924f2416e/eth0",
  "network": "back",
  "containerID": "cnitool-05f4fc66cb4924f2416e",
  "ifname": "eth0",
  "origin": "trestle",
  "state": "whole",
  "netns": "/run/netns/job-39",
  "namespace": "netns/3",
  "link": "netns/3/eth0",
  "hostLink": "netns/host/vethb2e6b55b461",
  "bridge": "netns/host/back0",
  "addresses": [
  "10.51.0.138/24"
  ],
  "result": "/var/lib/cni/results/back-cnitool-05f4fc66cb4924f2416e-eth0",
  "since": "(then)"
  },
  {
  "id": "back/cnitool-0871f038ad5d016f1001/eth0",
  "network": "back",
  "containerID": "cnitool-0871f038ad5d016f1001",
  "ifname": "eth0",
  "origin": "trestle",
  "state": "whole",
  "netns": "/run/netns/job-64",
  "namespace": "netns/4",
  "link": "netns/4/eth0",
  "hostLink": "netns/host/veth97199588517",
  "bridge": "netns/host/back0",
  "addresses": [
  "10.51.0.163/24"
  ],
  "result": "/var/lib/cni/results/back-cnitool-0871f038ad5d016f1001-eth0",
  "since": "(then)"
  },
  {
  "id": "back/cnitool-0a7895529b480f6ba18b/eth0",
  "network": "back",
  "containerID": "cnitool-0a7895529b480f6ba18b",
  "ifname": "eth0",
  "origin": "trestle",
